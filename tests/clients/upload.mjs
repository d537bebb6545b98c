// Uploads one file as a web page would, with a client that we did not write; says in JSON how it ended.
// The job is the only argument: {client, endpoint, token, path, metadata, chunkSize, deferLength, withCreation}.

import { createReadStream, readFileSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import Uppy from '@uppy/core';
import UppyTus from '@uppy/tus';
import * as tus from 'tus-js-client';

const job = { client: 'tus', ...JSON.parse(process.argv[2]) };
const options = {
  endpoint: job.endpoint,
  headers: { Authorization: `Bearer ${job.token}` },
  chunkSize: job.chunkSize ?? Infinity,
  retryDelays: Array(60).fill(1),
  uploadDataDuringCreation: job.withCreation ?? false,
};
let retries = 0;

function withTus() {
  return new Promise((resolve) => {
    // A recording that is still running is a stream. A file's own stream would be sliced by size instead, and
    // tus-js-client 4.3.1 then announces a whole last chunk, sends the rest of the file and waits for ever.
    const source = job.deferLength ? createReadStream(job.path).pipe(new PassThrough()) : readFileSync(job.path);
    const upload = new tus.Upload(source, {
      ...options,
      metadata: job.metadata,
      uploadLengthDeferred: job.deferLength ?? false,
      onShouldRetry: (error) => {
        retries += 1;
        const status = error.originalResponse?.getStatus() ?? 0;
        return status < 400 || status >= 500 || status === 409 || status === 423; // the default of the client
      },
      onSuccess: () => resolve({ ok: true, url: upload.url }),
      onError: (error) => resolve({ ok: false, error: String(error), body: error.originalResponse?.getBody() }),
    });
    upload.start();
  });
}

async function withUppy() {
  const uppy = new Uppy().use(UppyTus, { ...options, allowedMetaFields: true });
  uppy.on('upload-error', () => (retries += 1));
  const content = readFileSync(job.path);
  uppy.addFile({ name: 'door.jpg', type: 'image/jpeg', data: content, meta: job.metadata });
  const { successful, failed } = await uppy.upload();
  if (successful.length === 1) return { ok: true, url: successful[0].uploadURL };
  return { ok: false, error: String(failed[0]?.error) };
}

const ending = job.client === 'uppy' ? await withUppy() : await withTus();
console.log(JSON.stringify({ ...ending, retries }));
process.exit(0);
