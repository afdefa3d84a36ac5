// Fails when the built page has grown over its budgets: 45 KB of JavaScript and 12 KB of CSS, gzipped, the sum of
// all files, as a station on a slow site network has to load them.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const BUDGETS = { js: 45 * 1024, css: 12 * 1024, woff2: 64 * 1024 };
const folder = new URL('../dist/assets/', import.meta.url).pathname;

let failed = false;
for (const [extension, budget] of Object.entries(BUDGETS)) {
  const size = readdirSync(folder)
    .filter((name) => name.endsWith(`.${extension}`))
    .map((name) => readFileSync(join(folder, name)))
    .reduce(
      (sum, content) => sum + (extension === 'woff2' ? content : gzipSync(content, { level: 9 })).length,
      0,
    );
  const over = size > budget || size === 0;
  failed ||= over;
  console.log(
    `${extension}: ${(size / 1024).toFixed(1)} of ${budget / 1024} KB${over ? '  OVER BUDGET' : ''}`,
  );
}
const page = readFileSync(new URL('../dist/index.html', import.meta.url), 'utf8');
if (/<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|https?:\/\//.test(page)) {
  console.log('index.html has inline code or style, or names another host');
  failed = true;
}
process.exit(failed ? 1 : 0);
