// For infra/k8s/restore: replaces a service's live collections by the restored ones beside them. It runs in the pod of a member.
// Each rename is atomic. After an interruption between two of them, the restore is repeated from its start.
const PREFIX = 'restored.'
const { SERVICE: service, ROOT_PASSWORD: password } = process.env
const address = process.env.MONGODB_ADDRESS ?? `root:${encodeURIComponent(password)}@localhost`
const database = connect(`mongodb://${address}/admin?replicaSet=rs0`).getSiblingDB(service)

const collections = database.getCollectionNames().filter(name => !name.startsWith('system.'))
const restored = collections.filter(name => name.startsWith(PREFIX)).map(name => name.slice(PREFIX.length))
if (restored.length === 0) throw new Error(`the back-up has no collection of ${service}`)
// Last of all what the back-up doesn't have: it was created since.
const created = collections.filter(name => !name.startsWith(PREFIX) && !restored.includes(name))
for (const name of restored) {
  const rename = { renameCollection: `${service}.${PREFIX}${name}`, to: `${service}.${name}`, dropTarget: true }
  database.adminCommand({ ...rename, writeConcern: { w: 'majority' } })
}
for (const name of created) database.getCollection(name).drop({ writeConcern: { w: 'majority' } })
print(`${service}: replaced ${restored.join(', ')}; dropped ${created.join(', ') || 'nothing'}`)
