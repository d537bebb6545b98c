// A real Chromium that uploads files for whoever writes a line: {endpoint, token, path, metadata, ...options}.
// Answers each job with one line: how tus-js-client, unmodified in a page of the server's own origin, ended.
// UNPACKED is the folder where the browser is unpacked.

import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import chromium, { inflate } from '@sparticuz/chromium';
import puppeteer from 'puppeteer-core';

const { resolve } = createRequire(import.meta.url);
const PAGE = '<!doctype html><title>a page</title><input type="file">';

async function unpack(folder) {
  const { TMPDIR } = process.env;
  process.env.TMPDIR = `${folder}.${process.pid}`; // where the package unpacks to
  mkdirSync(process.env.TMPDIR);
  await chromium.executablePath();
  await inflate(join(dirname(dirname(resolve('@sparticuz/chromium'))), 'bin', 'al2023.tar.br')); // shared libraries
  renameSync(process.env.TMPDIR, folder);
  if (TMPDIR === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = TMPDIR;
}

async function upload(browser, job) {
  const context = await browser.createBrowserContext();
  try {
    const page = await context.newPage();
    await open(page, job.endpoint);
    await page.addScriptTag({ path: join(dirname(resolve('tus-js-client/package.json')), 'dist', 'tus.min.js') });
    const input = await page.$('input');
    await input.uploadFile(job.path);
    return await page.evaluate(uploadInPage, job);
  } finally {
    await context.close();
  }
}

// The page itself comes from here: the network between page and server is for the upload alone to survive.
async function open(page, endpoint) {
  await page.setRequestInterception(true);
  page.once('request', (request) => request.respond({ contentType: 'text/html', body: PAGE }));
  await page.goto(new URL('/page', endpoint).href);
  await page.setRequestInterception(false);
}

function uploadInPage(job) {
  let retries = 0;
  return new Promise((resolve) => {
    const upload = new tus.Upload(document.querySelector('input').files[0], {
      endpoint: job.endpoint,
      headers: { Authorization: `Bearer ${job.token}` },
      metadata: job.metadata,
      chunkSize: job.chunkSize ?? Infinity,
      uploadDataDuringCreation: job.withCreation ?? false,
      retryDelays: Array(60).fill(1),
      onShouldRetry: (error) => {
        retries += 1;
        const status = error.originalResponse?.getStatus() ?? 0;
        return status < 400 || status >= 500 || status === 409 || status === 423; // the default, also when offline
      },
      onSuccess: () => resolve({ ok: true, url: upload.url, retries }),
      onError: (error) => resolve({ ok: false, error: String(error), retries }),
    });
    upload.start();
  });
}

const folder = process.env.UNPACKED;
if (!existsSync(folder)) await unpack(folder);
process.env.LD_LIBRARY_PATH = join(folder, 'al2023', 'lib');
const executablePath = join(folder, 'chromium');
const browser = await puppeteer.launch({ executablePath, headless: 'shell', args: ['--no-sandbox'] });
console.log(JSON.stringify({ version: await browser.version() }));
for await (const line of createInterface({ input: process.stdin })) {
  const ending = await upload(browser, JSON.parse(line)).catch((error) => ({ ok: false, error: String(error) }));
  console.log(JSON.stringify(ending));
}
await browser.close();
