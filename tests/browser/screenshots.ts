// The views of the page in a folder, for people: `make screenshots`.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { card, fillForm, launch, open } from './browser';
import { Station } from './station';

const FOLDER = process.env['SCREENSHOTS'] ?? 'screenshots';

test('every view, in both languages, light and dark, wide and narrow', async () => {
  mkdirSync(FOLDER, { recursive: true });
  const station = await Station.start({
    boards: [1, 2, 3, 4].map((n) => `sim-${n}:esp32c3`),
    simulatorOptions: ['--pace'],
  });
  const browser = await launch();
  try {
    await station.importBundle('esp32c3', 2 << 20, 'SMC Cabinet');
    await station.control('fault sim-3 no-identity-line');
    const { page } = await open(browser, station.url);
    const shot = (name: string, options = {}) =>
      page.screenshot({ path: join(FOLDER, `${name}.png`), animations: 'disabled', ...options });
    await page.waitForSelector('[data-lamp=ready]');
    await shot('bench-empty-th-light');
    await fillForm(page, 'BGK001');
    await page.click('[data-testid=deploy]');
    await page.waitForFunction(
      () => Number(document.querySelector('.bar')?.getAttribute('aria-valuenow')) >= 35,
    );
    await shot('bench-working-th-light');
    await page.click('.tool-language');
    await shot('bench-working-en-light');
    await page.emulateMedia({ colorScheme: 'dark' });
    await shot('bench-working-en-dark');
    await card(page, 'A1').locator('.result-title').waitFor();
    await card(page, 'A2').locator('.result-title').waitFor();
    await card(page, 'A3').locator('.failure').waitFor();
    await card(page, 'A4').locator('.result-title').waitFor();
    await card(page, 'A1').getByRole('button', { name: 'Show' }).click();
    await page.waitForSelector('[data-testid=password]');
    await shot('bench-results-en-dark');
    await page.click('.tool-language');
    await page.emulateMedia({ colorScheme: 'light' });
    await shot('bench-results-th-light', { fullPage: true });
    for (const [view, sign] of [
      ['history', '.row-link'],
      ['firmware', '.bundle'],
      ['station', '.checks li'],
    ] as const) {
      await page.goto(`${station.url}/#/${view}`);
      await page.locator(sign).first().waitFor();
      await shot(`${view}-th-light`);
    }
    await page.goto(`${station.url}/#/history`);
    await page.locator('.row-link').first().click();
    await page.waitForSelector('.timeline li');
    await shot('deployment-th-light', { fullPage: true });

    const phone = await open(browser, station.url, { width: 360, height: 780, touch: true });
    await phone.page.waitForSelector('[data-lamp=attention]');
    await phone.page.screenshot({ path: join(FOLDER, 'phone-th-light.png'), fullPage: true });
    await phone.page.goto(`${station.url}/#/history`);
    await phone.page.waitForSelector('.row-link');
    await phone.page.screenshot({ path: join(FOLDER, 'phone-history-th-light.png') });
    const wall = await open(browser, station.url, { width: 2560, height: 1440, language: 'en', dark: true });
    await wall.page.waitForSelector('[data-lamp=attention]');
    await wall.page.screenshot({ path: join(FOLDER, 'wall-en-dark.png') });
    expect(phone.complaints).toEqual([]);
  } finally {
    await browser.close();
    await station.close();
  }
}, 300_000);
