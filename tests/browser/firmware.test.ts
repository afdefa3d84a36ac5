import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launch, type Opened, open } from './browser';
import { Station } from './station';

let station: Station;
let browser: Browser;
let opened: Opened;

beforeAll(async () => {
  station = await Station.start({ boards: [] });
  browser = await launch();
  opened = await open(browser, station.url, { language: 'en' });
});
afterAll(async () => {
  await browser?.close();
  await station?.close();
});

test('a package is imported, shown, and retired', async () => {
  const { page } = opened;
  await page.getByText('There is no firmware yet.').waitFor();
  await page.getByRole('link', { name: 'Import firmware' }).click();
  const folder = await station.makePackage('esp32s3', 256 << 10);
  const zip = join(station.home, 'build.zip');
  execFileSync('python3', ['-m', 'zipfile', '-c', zip, '.'], { cwd: folder });
  await page.setInputFiles('input[type=file]', zip);
  await page.getByLabel(/^Title/).fill('Gate controller');
  await page.getByRole('button', { name: 'Import' }).click();
  await page.getByText('Imported: Gate controller').waitFor();
  const bundle = page.locator('.bundle', { hasText: 'Gate controller' });
  expect(await bundle.textContent()).toContain('ESP32-S3');
  await bundle.getByText('Images').click();
  await bundle.getByText('bootloader').first().waitFor();
  expect(await station.kiln('firmware', 'list')).toHaveLength(1);

  await page.setInputFiles('input[type=file]', zip);
  await page.getByRole('button', { name: 'Import' }).click();
  await page.getByText(/^This content was there already/).waitFor();

  await bundle.getByRole('button', { name: 'Retire' }).click();
  await bundle.getByRole('alert').getByRole('button', { name: 'Retire' }).click();
  await bundle.waitFor({ state: 'detached' });
  await page.getByLabel('Show retired').check();
  await bundle.getByText('Retired').waitFor();
});

test('a file that is no package is refused with words', async () => {
  const { page } = opened;
  await page.setInputFiles('input[type=file]', {
    name: 'notes.bin',
    mimeType: 'text/plain',
    buffer: Buffer.from('hello'),
  });
  await page.getByRole('button', { name: 'Import' }).click();
  const alert = page.locator('.import').getByRole('alert');
  await alert.waitFor();
  expect(await alert.textContent()).toContain('What to try:');
});

test('the browser had nothing to complain about', () => {
  expect(opened.complaints).toEqual([]);
});
