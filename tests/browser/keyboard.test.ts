import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { card, launch, type Opened, open, pressThai, scan } from './browser';
import { Station } from './station';

let station: Station;
let browser: Browser;
let opened: Opened;

beforeAll(async () => {
  station = await Station.start({ boards: ['sim-1:esp32c3'] });
  await station.importBundle('esp32c3', 128 << 10, 'SMC Cabinet');
  browser = await launch();
  opened = await open(browser, station.url);
});
afterAll(async () => {
  await browser?.close();
  await station?.close();
});

test('a whole deployment by keyboard alone', async () => {
  const { page } = opened;
  await page.waitForSelector('[data-lamp=ready]');
  await page.waitForFunction(() => document.activeElement?.id === 'organization');
  const type = (text: string) => page.keyboard.type(text, { delay: 60 });
  await type('Clinic');
  await page.keyboard.press('Tab');
  await type('key001');
  await page.keyboard.press('Tab');
  await type('Ward');
  await page.keyboard.press('Enter');
  const panel = card(page, 'A1');
  await panel.locator('.result-title').waitFor();
  const reach = async (name: string) => {
    for (let i = 0; i < 60; i++) {
      await page.keyboard.press('Tab');
      if ((await page.evaluate(() => document.activeElement?.textContent?.trim())) === name) return;
    }
    throw new Error(`${name} cannot be reached by Tab`);
  };
  await reach('แสดง');
  await page.keyboard.press('Enter');
  await panel.getByTestId('password').waitFor();
  await reach('Deploy อีกรายการ');
  await page.keyboard.press('Space');
  await page.waitForFunction(() => document.activeElement?.id === 'organization');
});

test('a Thai keyboard writes Latin capitals into the customer id', async () => {
  const { page } = opened;
  await page.focus('#customerId');
  await pressThai(page, [
    ['ิ', 'KeyB'],
    ['เ', 'KeyG'],
    ['า', 'KeyK'],
    ['จ', 'Digit0'],
    ['/', 'Digit2'],
  ]);
  expect(await page.inputValue('#customerId')).toBe('BGK02');
});

test('Thai letters that are pasted are pointed out, and converted on request', async () => {
  const { page } = opened;
  await page.fill('#customerId', 'ิเาจๅ');
  await page.getByRole('button', { name: 'ใช้ BGK01' }).click();
  expect(await page.inputValue('#customerId')).toBe('BGK01');
});

test.each([
  ['tabs', 'Clinic North\tSCN001\tWard B'],
  ['JSON', '{"organization":"Clinic North","customer_id":"SCN001","application_name":"Ward B"}'],
])('a scanned code with %s fills all three, wherever the focus is', async (_, line) => {
  const { page } = opened;
  for (const field of ['organization', 'customerId', 'applicationName']) await page.fill(`#${field}`, '');
  await page.focus('#applicationName');
  await scan(page, line);
  await page.getByText('กรอกจากการสแกนแล้ว: SCN001').waitFor();
  expect(await page.inputValue('#organization')).toBe('Clinic North');
  expect(await page.inputValue('#customerId')).toBe('SCN001');
  expect(await page.inputValue('#applicationName')).toBe('Ward B');
  expect(await station.kiln('deployments'), 'a scan orders nothing by itself').toHaveLength(1);
});

test('a scan right behind the emptying of the form is told, and stays', async () => {
  const { page } = opened;
  const fields = ['organization', 'customerId', 'applicationName'];
  for (let i = 0; i < 5; i++) {
    await scan(page, 'Clinic North\tSCN002\tWard B', fields);
    // Whatever belongs to the emptied form has happened two frames later.
    await page.evaluate(
      () =>
        new Promise((resolve) =>
          requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(resolve, 0))),
        ),
    );
    expect(await page.getByText('กรอกจากการสแกนแล้ว: SCN002').isVisible(), `scan ${i}`).toBe(true);
    expect(await page.evaluate(() => document.activeElement?.getAttribute('data-testid'))).toBe('deploy');
  }
});

test('a pasted line fills all three', async () => {
  const { page } = opened;
  await page.evaluate(() => {
    const data = new DataTransfer();
    data.setData('text/plain', 'โรงพยาบาลเหนือ;PST001;Ward C');
    document
      .querySelector('#organization')
      ?.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
  });
  await page.waitForFunction(
    () => document.querySelector<HTMLInputElement>('#customerId')?.value === 'PST001',
  );
  expect(await page.inputValue('#organization')).toBe('โรงพยาบาลเหนือ');
});

test('the browser had nothing to complain about', () => {
  expect(opened.complaints).toEqual([]);
});
