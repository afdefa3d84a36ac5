import { readFileSync } from 'node:fs';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectAccessible } from './axe';
import { card, fillForm, launch, open } from './browser';
import { Station } from './station';

let station: Station;
let browser: Browser;

beforeAll(async () => {
  station = await Station.start({ boards: ['sim-1:esp32c3', 'sim-2:esp32c3'] });
  await station.importBundle('esp32c3', 128 << 10, 'SMC Cabinet');
  browser = await launch();
  const { page, context } = await open(browser, station.url);
  await page.waitForSelector('[data-lamp=ready]');
  await fillForm(page, 'VIEW01');
  await page.getByTestId('deploy').click();
  await card(page, 'A2').locator('.result-title').waitFor();
  await card(page, 'A1').locator('.result-title').waitFor();
  await context.close();
});
afterAll(async () => {
  await browser?.close();
  await station?.close();
});

const VIEWS = [
  ['bench', '.result-title'],
  ['history', '.row-link'],
  ['firmware', '.bundle'],
  ['station', '.checks li'],
] as const;

describe.each([
  { language: 'th', dark: false, width: 1440 },
  { language: 'en', dark: true, width: 1440 },
  { language: 'th', dark: true, width: 360, touch: true },
  { language: 'en', dark: false, width: 360, touch: true },
] as const)('$language, dark: $dark, $width pixels', (options) => {
  test('every view is accessible, fits, and has targets for gloves', async () => {
    const { page, context, complaints } = await open(browser, station.url, options);
    for (const [view, sign] of VIEWS) {
      await page.goto(`${station.url}/#/${view}`);
      await page.locator(sign).first().waitFor();
      await expectAccessible(page, view);
      await expectFits(page, view);
      await expectTargets(page, view);
    }
    await page.goto(`${station.url}/#/history`);
    await page.locator('.row-link').first().click();
    await page.locator('.timeline li').nth(5).waitFor();
    await expectAccessible(page, 'deployment');
    await expectFits(page, 'deployment');
    expect(await page.getAttribute('html', 'lang')).toBe(options.language);
    expect(complaints).toEqual([]);
    await context.close();
  });
});

async function expectFits(page: Page, view: string): Promise<void> {
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect(overflow, `${view} is wider than the screen`).toBeLessThanOrEqual(0);
}

// Links inside of text are exempt, as WCAG has it.
async function expectTargets(page: Page, view: string): Promise<void> {
  const small = await page.evaluate(() =>
    [
      ...document.querySelectorAll<HTMLElement>(
        'button, .button, .tab, .pill, select, input:not([type=checkbox], [type=radio])',
      ),
    ]
      .map((element) => ({ element, box: element.getBoundingClientRect() }))
      .filter(({ box }) => box.width > 0 && (box.height < 44 || box.width < 44))
      .map(({ element, box }) => `${element.outerHTML.slice(0, 80)} ${box.width}x${box.height}`),
  );
  expect(small, view).toEqual([]);
}

test("the language is the browser's, can be switched, and is remembered", async () => {
  const { page, context } = await open(browser, station.url, { language: 'en' });
  await page.getByRole('heading', { name: 'Ready' }).waitFor();
  await page.click('.tool-language');
  await page.getByRole('heading', { name: 'พร้อม' }).waitFor();
  await page.reload();
  await page.getByRole('heading', { name: 'พร้อม' }).waitFor();
  await context.close();
});

test('the station page checks the ledger on request', async () => {
  const { page, context } = await open(browser, `${station.url}/#/station`, { language: 'en' });
  await page.getByRole('button', { name: 'Check the ledger' }).click();
  await page.getByText(/^The ledger is sound: \d+ events\.$/).waitFor();
  await context.close();
});

test('colours follow the computer until somebody chooses', async () => {
  const { page, context } = await open(browser, station.url, { dark: true });
  await page.waitForSelector('html[data-theme=dark]');
  await page.emulateMedia({ colorScheme: 'light' });
  await page.waitForSelector('html[data-theme=light]');
  await page.getByRole('button', { name: 'ใช้สีมืด' }).click();
  await page.reload();
  await page.waitForSelector('html[data-theme=dark]');
  await context.close();
});

test('history finds by part of customer or MAC, by state and by date, and gives the table as CSV', async () => {
  const { page, context } = await open(browser, `${station.url}/#/history`);
  const rows = page.locator('.row-link');
  await rows.nth(1).waitFor();
  const search = async (label: string, value: string, count: number) => {
    await page.getByLabel(label, { exact: true }).fill(value);
    await page.getByRole('button', { name: 'ค้นหา' }).click();
    await page.waitForFunction((wanted) => document.querySelectorAll('.row-link').length === wanted, count);
    await page.getByRole('button', { name: 'ล้าง' }).click();
    await rows.nth(1).waitFor();
  };
  await search('ลูกค้า, MAC หรือ SSID', 'NOBODY', 0);
  await search('ลูกค้า, MAC หรือ SSID', 'view', 2);
  await search('ลูกค้า, MAC หรือ SSID', 'A1:00:00:02', 1);
  await search('ลูกค้า, MAC หรือ SSID', 'กรุงเทพ', 2);
  await search('ตั้งแต่', '2099-01-01', 0);
  await search('ถึง', '2020-01-01', 0);
  await page.locator('.filters select').selectOption('STATE_FAILED');
  await page.getByRole('button', { name: 'ค้นหา' }).click();
  await page.getByText('ไม่พบงานที่ตรงกับเงื่อนไข').waitFor();
  await page.getByRole('button', { name: 'ล้าง' }).click();
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: 'ดาวน์โหลด CSV' }).click(),
  ]);
  const csv = readFileSync(await download.path(), 'utf8');
  expect(csv.trim().split('\n')).toHaveLength(3);
  expect(csv).toContain('VIEW01');
  await context.close();
});

test('stage changes are announced politely, percentages never', async () => {
  const { page, context } = await open(browser, station.url, { language: 'en' });
  await page.waitForSelector('[data-lamp=ready]');
  const said: string[] = [];
  await page.exposeFunction('heard', (words: string) => said.push(words));
  await page.evaluate(() => {
    const region = document.querySelector('[data-testid=announcer]');
    new MutationObserver(() =>
      (window as unknown as { heard(words: string): void }).heard(region?.textContent ?? ''),
    ).observe(region as Node, { childList: true, characterData: true, subtree: true });
  });
  await station.kiln(
    'deploy',
    '--org',
    'Clinic',
    '--id',
    'SAY001',
    '--app',
    'Ward',
    '--bundle',
    await newestBundle(),
    '--port',
    'sim-1',
    '--no-wait',
  );
  await page.waitForFunction(() =>
    document.querySelector('[data-testid=announcer]')?.textContent?.includes('A1: Done!'),
  );
  const sentences = said.filter((words, i) => words !== '' && words !== said[i - 1]);
  expect(sentences.join(' ')).not.toContain('%');
  // Five seconds apart, whatever happened between them.
  expect(sentences.length).toBeLessThanOrEqual(4);
  await context.close();
});

async function newestBundle(): Promise<string> {
  const [bundle] = await station.kiln('firmware', 'list');
  return String((bundle as { id: unknown }).id);
}
