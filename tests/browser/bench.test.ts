import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectAccessible } from './axe';
import { advice, card, fillForm, launch, type Opened, open } from './browser';
import { Station } from './station';

let station: Station;
let browser: Browser;
let opened: Opened;

beforeAll(async () => {
  station = await Station.start({ boards: [1, 2, 3, 4].map((n) => `sim-${n}:esp32c3`) });
  await station.importBundle('esp32c3', 256 << 10, 'SMC Cabinet');
  browser = await launch();
  opened = await open(browser, station.url);
});
afterAll(async () => {
  await browser?.close();
  await station?.close();
});

test('from the form to four records', async () => {
  const { page } = opened;
  await page.waitForSelector('[data-lamp=ready]');
  expect(await page.locator('.lamp-word').textContent()).toBe('พร้อม');
  expect(await advice(page)).toBe('กรุณากรอกข้อมูลลูกค้า');
  await fillForm(page, 'bgk001');
  expect(await page.inputValue('#customerId')).toBe('BGK001');
  expect(await page.getByTestId('deploy').textContent()).toContain('4');
  await page.getByTestId('deploy').dblclick();
  for (const label of ['A1', 'A2', 'A3', 'A4']) await card(page, label).locator('.result-title').waitFor();
  expect(await page.getByTestId('today-count').textContent()).toBe('4');
  expect(station.recordFiles()).toHaveLength(4);
  expect(await station.kiln('deployments')).toHaveLength(4);
  const shown = await page.locator('.card .facts code').allTextContents();
  for (const name of station.recordFiles()) expect(shown).toContain(name);
  await expectAccessible(page, 'four results');
});

test('the password is hidden until somebody asks, which the ledger notes', async () => {
  const { page } = opened;
  const panel = card(page, 'A1');
  expect(await panel.getByTestId('password').count()).toBe(0);
  await panel.getByRole('button', { name: 'แสดง' }).click();
  const password = (await panel.getByTestId('password').textContent()) ?? '';
  expect(password.length).toBeGreaterThanOrEqual(12);
  const record = station
    .recordFiles()
    .map((name) => JSON.parse(readFileSync(join(station.records, name), 'utf8')))
    .find((one) => one.wifi.password === password);
  expect(await panel.locator('.wifi code').first().textContent()).toBe(record.wifi.ssid);
  await panel.locator('svg.qr').waitFor();
  const events = await station.kiln('events');
  expect(events.at(-1)).toMatchObject({ kind: 'EVENT_KIND_AUDIT' });
  await panel.getByRole('button', { name: 'ซ่อน' }).click();
  expect(await panel.getByTestId('password').count()).toBe(0);
});

test('the label is one page of 62 by 29 mm', async () => {
  const { page } = opened;
  await page.evaluate(() => {
    window.print = () => document.body.setAttribute('data-printed', '');
  });
  await card(page, 'A2').getByRole('button', { name: 'พิมพ์ฉลาก' }).click();
  await page.waitForSelector('[data-printed]');
  const pdf = (await page.pdf({ preferCSSPageSize: true })).toString('latin1');
  const boxes = [...pdf.matchAll(/\/MediaBox\s*\[\s*0\s+0\s+([\d.]+)\s+([\d.]+)/g)];
  expect(boxes).toHaveLength(1);
  const millimetres = (points: string | undefined) => Math.round((Number(points) / 72) * 25.4);
  expect([millimetres(boxes[0]?.[1]), millimetres(boxes[0]?.[2])]).toEqual([62, 29]);
  await page.evaluate(() => dispatchEvent(new Event('afterprint')));
  await page.waitForFunction(() => document.querySelector('.label') === null);
});

test('the record can be downloaded', async () => {
  const { page } = opened;
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    card(page, 'A1').getByRole('link', { name: 'ดาวน์โหลด JSON' }).click(),
  ]);
  const record = JSON.parse(readFileSync(await download.path(), 'utf8'));
  expect(record.customer.customer_id).toBe('BGK001');
});

test('a finished board is asked about before it is rewritten', async () => {
  const { page } = opened;
  expect(await page.getByTestId('deploy').textContent()).not.toContain('4');
  await page.locator('.pill', { hasText: /^A1$/ }).click();
  await page.getByTestId('deploy').click();
  const dialog = page.getByRole('dialog');
  await dialog.waitFor();
  expect(await dialog.textContent()).toContain('7c:df:a1:00:00:01');
  await expectAccessible(page, 'the question');
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  expect(await station.kiln('deployments')).toHaveLength(4);
  await page.getByTestId('deploy').click();
  await dialog.getByRole('button', { name: 'เขียนทับ', exact: true }).click();
  await page.waitForFunction(() => document.querySelector('[data-testid=today-count]')?.textContent === '5');
  expect(station.recordFiles()).toHaveLength(5);
});

test('"Deploy อีกรายการ" clears form and result', async () => {
  const { page } = opened;
  await card(page, 'A1').getByRole('button', { name: 'Deploy อีกรายการ' }).click();
  await page.waitForSelector('[data-port=sim-1][data-mode=ready]');
  expect(await page.inputValue('#organization')).toBe('');
  expect(await page.inputValue('#customerId')).toBe('');
  await page.waitForFunction(() => document.activeElement?.id === 'organization');
});

test('"as soon as a board appears" waits, and can be canceled', async () => {
  const { page } = opened;
  await fillForm(page, 'ANY001');
  await page.locator('.pill', { hasText: 'บอร์ดถัดไป' }).click();
  await page.getByTestId('deploy').click();
  const waiting = page.locator('.waiting-any');
  await waiting.waitFor();
  expect(await advice(page)).toBe('เสียบบอร์ดที่พอร์ตใดก็ได้');
  await waiting.getByRole('button', { name: 'ยกเลิก' }).click();
  await waiting.waitFor({ state: 'detached' });
});

test('the browser had nothing to complain about', () => {
  expect(opened.complaints).toEqual([]);
});
