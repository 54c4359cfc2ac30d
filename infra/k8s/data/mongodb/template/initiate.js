// Makes what the first member's mongod has into the replica set of one service with all of its members, by their full names, and
// with its users. Each step is skipped where it is done already: it can be interrupted anywhere, and run again at any time, such as
// with more members or another password.
const fs = require('fs')

const { SERVICE: service, MEMBER: self, MEMBERS, SECRETS = '/secret' } = process.env
const secret = name => fs.readFileSync(`${SECRETS}/${name}`, 'utf8').trim()
const host = number => `${self.replace(/-0\./, `-${number}.`)}:27017`
const hosts = Array.from({ length: Number(MEMBERS) }, (_, number) => host(number))

const open = (address, user = '') => connect(`mongodb://${user}${address}/admin?directConnection=true&serverSelectionTimeoutMS=5000`)
const asRoot = address => open(address, `root:${encodeURIComponent(secret('root-password'))}@`)

// Its result, or the name of the error, if it is one of these. (mongosh awaits what is assigned, not what is returned.)
function attempt(action, ...codeNames) {
  try {
    const result = action()
    return result
  } catch (error) {
    if (!codeNames.includes(error.codeName)) throw error
    return error.codeName
  }
}

function waitFor(what, condition, seconds = 60) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; sleep(200)) {
    const value = condition()
    if (value) return value
  }
  throw new Error(`${service}: no ${what} within ${seconds} s`)
}

// The first member, as root; or without a user, which mongod allows on its own machine as long as there is none (the localhost
// exception).
function onThisMember() {
  const root = attempt(() => asRoot('localhost'), 'AuthenticationFailed')
  return root === 'AuthenticationFailed' ? { node: open('localhost'), isRoot: false } : { node: root, isRoot: true }
}

function initiate(node) {
  const initiated = attempt(
    () => node.adminCommand({ replSetInitiate: { _id: 'rs0', members: [{ _id: 0, host: host(0) }] } }),
    'AlreadyInitialized',
    // Without a user while there are users: initiated with another password, which the next step reports.
    'Unauthorized'
  )
  if (initiated.ok) print(`${service}: initiated the replica set`)
}

function createRoot(node) {
  waitFor('primary', () => node.hello().isWritablePrimary)
  const root = { createUser: 'root', pwd: secret('root-password'), roles: ['root'], writeConcern: { w: 'majority' } }
  if (attempt(() => node.adminCommand(root), 'Unauthorized') === 'Unauthorized') {
    throw new Error(`${service}: there are users, but root has another password than the secret`)
  }
  print(`${service}: created the user root`)
}

// The primary, whichever member that is. The addresses are not those of the configuration, which may not resolve.
function findPrimary() {
  for (const address of ['localhost', ...hosts.slice(1)]) {
    try {
      const node = asRoot(address)
      if (node.hello().isWritablePrimary) return node
    } catch (error) {
      print(`${service}: ${address}: ${error.message}`)
    }
  }
}

// Members that are in the configuration by another name, such as the short one, which only DNS resolves.
const number = member => Number(/-mongodb-(\d+)\./.exec(member.host)?.[1] ?? member._id)
const renamed = config => config.members.map(member => ({ ...member, host: host(number(member)) }))
const isNamed = config => config.members.every(member => member.host === host(number(member)))

// The primary. A set has none if its members don't find themselves by the names that it has for them; then only force renames them.
function primaryOf(node) {
  const { config } = node.adminCommand({ replSetGetConfig: 1 })
  if (isNamed(config)) return waitFor('primary', findPrimary)
  const isRemoved = attempt(() => node.adminCommand({ replSetGetStatus: 1 }), 'InvalidReplicaSetConfig') === 'InvalidReplicaSetConfig'
  try {
    // An only member that is REMOVED is its set's primary never again.
    const primary = waitFor('primary', findPrimary, isRemoved && config.members.length === 1 ? 0 : 15)
    return primary
  } catch (error) {
    print(`${error.message}: renaming all of its members`)
    node.adminCommand({ replSetReconfig: { ...config, version: config.version + 1, members: renamed(config) }, force: true })
    return waitFor('primary', findPrimary)
  }
}

// One member at a time, so that a majority of the old set and one of the new set always have a member in common.
function reconfigure(primary) {
  const change = members => {
    const { config } = primary.adminCommand({ replSetGetConfig: 1 })
    primary.adminCommand({ replSetReconfig: { ...config, version: config.version + 1, members: members(config.members) } })
  }
  const { config } = primary.adminCommand({ replSetGetConfig: 1 })
  for (const [index, { host }] of renamed(config).entries()) {
    if (config.members[index].host === host) continue
    print(`${service}: renaming ${config.members[index].host} to ${host}`)
    change(members => members.map((member, at) => (at === index ? { ...member, host } : member)))
  }
  for (const host of hosts) {
    if (renamed(config).some(member => member.host === host)) continue
    print(`${service}: adding ${host}`)
    change(members => [...members, { _id: Math.max(...members.map(member => member._id)) + 1, host }])
  }
}

// One user for one database, with permission to read and write it and no other.
function setServiceUser(primary) {
  const database = primary.getSiblingDB(service)
  const user = { pwd: secret('password'), roles: [{ role: 'readWrite', db: service }] }
  if (database.getUser(service)) {
    database.updateUser(service, user)
  } else {
    database.createUser({ user: service, ...user })
  }
}

const { node, isRoot } = onThisMember()
initiate(node)
if (!isRoot) createRoot(node)
const primary = primaryOf(asRoot('localhost'))
reconfigure(primary)
setServiceUser(primary)
print(`${service}: ready`)
