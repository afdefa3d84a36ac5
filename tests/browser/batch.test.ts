import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectAccessible } from './axe';
import { launch, type Opened, open } from './browser';
import { Station, until } from './station';

let station: Station;
let browser: Browser;
let opened: Opened;
let bundle: string;

beforeAll(async () => {
  station = await Station.start({ boards: [1, 2, 3].map((n) => `sim-${n}:esp32c3`) });
  await station.importBundle('esp32c3', 64 << 10, 'SMC Cabinet');
  bundle = String((await station.kiln('firmware', 'list'))[0]?.['id']);
  browser = await launch();
  opened = await open(browser, station.url);
});
afterAll(async () => {
  await browser?.close();
  await station?.close();
});

test('a batch that somebody ordered counts on the bench, and is paused and resumed there', async () => {
  const { page } = opened;
  await page.waitForSelector('[data-lamp=ready]');
  const order = ['--org', 'โรงพยาบาลกรุงเทพ', '--id', 'BGK001', '--app', 'SMC_Cabinet_Ward_A'];
  await station.kiln('batch', 'create', ...order, '--bundle', bundle, '--count', '4', '--ports', 'sim-*');
  const strip = page.locator('[data-batch]');
  await strip.getByText('3/4').waitFor();
  expect(await strip.textContent()).toContain('BGK001');
  expect(station.recordFiles()).toHaveLength(3);
  await expectAccessible(page, 'a batch');

  await strip.getByRole('button', { name: 'หยุดชั่วคราว' }).click();
  await page.waitForSelector('[data-batch][data-state=STATE_PAUSED]');
  const stateOf = async () => (await station.kiln('batch', 'list'))[0];
  await until(
    async () => (await stateOf())?.['state'] === 'STATE_PAUSED',
    () => station.log('kilnd'),
  );
  await strip.getByRole('button', { name: 'ทำต่อ' }).click();
  await page.waitForSelector('[data-batch][data-state=STATE_ACTIVE]');
});
