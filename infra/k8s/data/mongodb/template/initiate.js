// Initiates the replica set of one service, and creates its user. Each step is skipped where it is done already, so it can run
// again at any time, with more members too.
const service = process.env.SERVICE
const members = Number(process.env.MEMBERS)
const host = number => `${service}-mongodb-${number}.${service}-mongodb:27017`
const uri = query => `mongodb://root:${encodeURIComponent(process.env.ROOT_PASSWORD)}@${host(0)}/admin?${query}`

const isInitiated = node => {
  try {
    return node.adminCommand({ replSetGetStatus: 1 }).ok === 1
  } catch (error) {
    if (error.codeName !== 'NotYetInitialized') throw error
    return false
  }
}

const first = connect(uri('directConnection=true'))
if (!isInitiated(first)) {
  print('initiating the replica set')
  first.adminCommand({ replSetInitiate: { _id: 'rs0', members: [{ _id: 0, host: host(0) }] } })
}

// From here on on the primary, whichever member that is.
const admin = connect(uri('replicaSet=rs0&serverSelectionTimeoutMS=60000'))
for (let number = 0; number < members; number++) {
  const { config } = admin.adminCommand({ replSetGetConfig: 1 })
  if (config.members.some(member => member.host === host(number))) continue
  print(`adding ${host(number)}`)
  config.version += 1
  config.members.push({ _id: Math.max(...config.members.map(member => member._id)) + 1, host: host(number) })
  admin.adminCommand({ replSetReconfig: config })
}

// One user for one database, with permission to read and write it and no other.
const database = admin.getSiblingDB(service)
const user = { pwd: process.env.PASSWORD, roles: [{ role: 'readWrite', db: service }] }
if (database.getUser(service)) {
  database.updateUser(service, user)
} else {
  database.createUser({ user: service, ...user })
}
print(`${service}: ready`)
