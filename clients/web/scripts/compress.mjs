// Puts a gzipped twin beside every file of the built page that is text: the gateway sends it to whoever takes gzip.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const dist = fileURLToPath(new URL('../dist/', import.meta.url));
for (const folder of [dist, `${dist}assets/`]) {
  for (const name of readdirSync(folder)) {
    if (!/\.(js|css|html|svg)$/.test(name)) continue;
    writeFileSync(`${folder}${name}.gz`, gzipSync(readFileSync(folder + name), { level: 9 }));
  }
}
