import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectAccessible } from './axe';
import { launch, open } from './browser';
import { Station } from './station';

const TOKENS = {
  viewer: 'viewer-token-for-tests',
  operator: 'operator-token-for-tests',
  admin: 'admin-token-for-tests',
};

let folder: string;
let station: Station;
let browser: Browser;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kiln-tokens-'));
  const file = join(folder, 'tokens');
  writeFileSync(
    file,
    Object.entries(TOKENS)
      .map(([role, token]) => `${role}:${role}-1:${token}\n`)
      .join(''),
    { mode: 0o600 },
  );
  station = await Station.start({ boards: ['sim-1:esp32c3'], gatewayOptions: ['--token-file', file] });
  await station.importBundle('esp32c3', 128 << 10, 'SMC Cabinet');
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await station?.close();
  rmSync(folder, { recursive: true, force: true });
});

test('nobody gets in without a token, and a wrong one is told', async () => {
  const { page, context, complaints } = await open(browser, station.url, { language: 'en' });
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  expect(await page.locator('.card').count()).toBe(0);
  await expectAccessible(page, 'sign-in');
  await page.getByLabel('Token').fill('not-a-token-at-all');
  await page.keyboard.press('Enter');
  await page.getByText('This token is not valid.').waitFor();
  expect(complaints).toEqual([]);
  await context.close();
});

test.each([
  ['viewer', { form: 0, retire: 0 }],
  ['operator', { form: 1, retire: 0 }],
  ['admin', { form: 1, retire: 1 }],
] as const)('a %s sees the buttons that the role may use', async (role, expected) => {
  const { page, context } = await open(browser, station.url, { language: 'en' });
  await page.getByLabel('Token').fill(TOKENS[role]);
  await page.keyboard.press('Enter');
  await page.waitForSelector('[data-lamp=ready]');
  expect(await page.locator('form.order').count()).toBe(expected.form);
  await page.goto(`${station.url}/#/firmware`);
  await page.locator('.bundle').waitFor();
  expect(await page.getByRole('button', { name: 'Retire' }).count()).toBe(expected.retire);
  await page.reload();
  await page.locator('.bundle').waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await context.close();
});
