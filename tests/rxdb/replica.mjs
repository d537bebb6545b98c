// An RxDB collection that replicates GET /sync/pull. Commands come as lines on standard input:
//   sync   replicate until nothing is left, then say {"synced": n}
//   dump   print every document
// The checkpoint of RxDB's loop is our cursor. A 410 means what it means to any client: start over.

import { createInterface } from 'node:readline';
import { createRxDatabase } from 'rxdb';
import { replicateRxCollection } from 'rxdb/plugins/replication';
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory';

const [base, token, limit] = [process.argv[2], process.env.TOKEN, Number(process.argv[3])];
const schema = {
  title: 'change',
  version: 0,
  type: 'object',
  primaryKey: 'key',
  properties: {
    key: { type: 'string', maxLength: 200 },
    scope: { type: 'string' },
    kind: { type: 'string' },
    entity: { type: 'string' },
    rev: { type: 'number' },
    body: { type: 'string' },
  },
  required: ['key', 'scope', 'kind', 'entity', 'rev', 'body'],
};

let generation = 0;
let replica = null;

async function begin() {
  generation += 1;
  const database = await createRxDatabase({
    name: `replica${process.pid}x${generation}`,
    storage: getRxStorageMemory(),
    multiInstance: false,
  });
  const { changes } = await database.addCollections({ changes: { schema } });
  const begun = { database, changes, pages: 0, whole: 0, isStale: false };
  begun.state = replicateRxCollection({
    collection: changes,
    replicationIdentifier: `${base}/api/v1/sync/pull`,
    live: true,
    retryTime: 20,
    waitForLeadership: false,
    pull: { batchSize: limit, handler: (checkpoint) => pull(begun, checkpoint) },
  });
  return begun;
}

async function pull(begun, checkpoint) {
  const query = new URLSearchParams({ limit: String(limit) });
  if (checkpoint) query.set('cursor', checkpoint.cursor);
  const answer = await fetch(`${base}/api/v1/sync/pull?${query}`, {
    headers: { Authorization: `Bearer ${token}`, Connection: 'close' },
  });
  if (answer.status === 410) {
    begun.isStale = true;
    return { documents: [], checkpoint };
  }
  if (answer.status !== 200) throw new Error(`answered ${answer.status}`);
  const page = await answer.json();
  begun.pages += 1;
  if (!page.has_more) begun.whole += 1;
  return { documents: page.changes.map(toDocument), checkpoint: { cursor: page.cursor } };
}

function toDocument(change) {
  return {
    key: `${change.scope}|${change.kind}|${change.id}`,
    scope: change.scope,
    kind: change.kind,
    entity: change.id,
    rev: change.rev,
    body: JSON.stringify(change.body),
    _deleted: change.op === 'remove',
  };
}

async function sync() {
  replica ??= await begin();
  const before = replica.whole;
  replica.state.reSync();
  while (replica.whole === before && !replica.isStale) await new Promise((done) => setTimeout(done, 10));
  if (replica.isStale) {
    await replica.state.cancel();
    await replica.database.remove();
    replica = null;
    return sync();
  }
  await replica.state.awaitInSync();
  return { synced: replica.pages, generation };
}

async function dump() {
  const documents = await replica.changes.find().exec();
  return documents.map(({ scope, kind, entity, rev, body }) => ({ scope, kind, id: entity, rev, body: JSON.parse(body) }));
}

for await (const line of createInterface({ input: process.stdin })) {
  const told = await { sync, dump }[line.trim()]();
  process.stdout.write(`${JSON.stringify(told)}\n`);
}
process.exit(0);
