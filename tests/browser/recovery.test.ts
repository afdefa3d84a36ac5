import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { card, fillForm, launch, type Opened, open } from './browser';
import { Station } from './station';

let station: Station;
let browser: Browser;
let opened: Opened;

beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser?.close());

// Paced, so that there is a middle.
beforeEach(async () => {
  station = await Station.start({ boards: ['sim-1:esp32c3'], simulatorOptions: ['--pace'] });
  await station.importBundle('esp32c3', 1 << 20, 'SMC Cabinet');
  opened = await open(browser, station.url);
  const { page } = opened;
  await page.waitForSelector('[data-lamp=ready]');
  await fillForm(page, 'REC001');
  await page.getByTestId('deploy').click();
  await reach(page, 20);
});
afterEach(async () => {
  expect(opened.complaints).toEqual([]);
  await opened.context.close();
  await station.close();
});

async function reach(page: Page, percent: number): Promise<void> {
  await page.waitForFunction(
    (wanted) => Number(document.querySelector('[role=progressbar]')?.getAttribute('aria-valuenow')) >= wanted,
    percent,
  );
}

async function expectOneSuccess(page: Page): Promise<void> {
  await card(page, 'A1').locator('.result-title').waitFor();
  expect(await page.getByTestId('today-count').textContent()).toBe('1');
  const deployments = await station.kiln('deployments');
  expect(deployments).toHaveLength(1);
  expect(deployments[0]).toMatchObject({ state: 'STATE_SUCCEEDED', attempt: 1 });
  expect(station.recordFiles()).toHaveLength(1);
}

test('a reload in the middle: the progress continues', async () => {
  const { page } = opened;
  await page.reload();
  await reach(page, 20);
  expect(await page.getAttribute('[data-lamp]', 'data-lamp')).toBe('working');
  await expectOneSuccess(page);
});

test('the daemon is killed in the middle: the page says so, recovers by itself, and shows the right result', async () => {
  const { page } = opened;
  await station.killDaemon();
  await page.waitForSelector('.connection-restarting');
  await page.waitForSelector('[data-lamp=offline]');
  await page.getByText('งานที่รับไว้แล้วไม่สูญหาย').waitFor();
  await station.startDaemon();
  await page.waitForSelector('.connection-live');
  await expectOneSuccess(page);
});

test('the gateway goes and comes back: the page reconnects by itself', async () => {
  const { page } = opened;
  await station.stopGateway();
  await page.waitForSelector('.connection-reconnecting');
  await station.startGateway();
  await page.waitForSelector('.connection-live');
  await expectOneSuccess(page);
});
