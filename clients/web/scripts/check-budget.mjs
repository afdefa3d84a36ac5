// Fails when the built page has grown over its budgets: 45 KB of JavaScript and 12 KB of CSS as they cross the
// wire, the sum of all files, as a station on a slow site network has to send them.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const BUDGETS = { '.js.gz': 45 * 1024, '.css.gz': 12 * 1024, '.woff2': 64 * 1024 };
const assets = fileURLToPath(new URL('../dist/assets/', import.meta.url));

let failed = false;
for (const [ending, budget] of Object.entries(BUDGETS)) {
  const size = readdirSync(assets)
    .filter((name) => name.endsWith(ending))
    .reduce((sum, name) => sum + statSync(assets + name).size, 0);
  const over = size > budget || size === 0;
  failed ||= over;
  console.log(`${ending}: ${(size / 1024).toFixed(1)} of ${budget / 1024} KB${over ? '  OVER BUDGET' : ''}`);
}
const page = readFileSync(new URL('../dist/index.html', import.meta.url), 'utf8');
if (/<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|https?:\/\//.test(page)) {
  console.log('index.html has inline code or style, or names another host');
  failed = true;
}
process.exit(failed ? 1 : 0);
