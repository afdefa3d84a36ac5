import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectAccessible } from './axe';
import { advice, card, fillForm, launch, type Opened, open } from './browser';
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

test('an incomplete form says what is missing, at its fields, and orders nothing', async () => {
  const { page } = opened;
  await page.waitForSelector('[data-lamp=ready]');
  await page.getByTestId('deploy').click();
  await page.getByText('กรุณากรอกชื่อองค์กร').waitFor();
  await page.getByText('กรุณากรอกรหัสลูกค้า').waitFor();
  await page.getByText('กรุณากรอกชื่อแอปพลิเคชัน').waitFor();
  await page.waitForFunction(() => document.activeElement?.id === 'organization');
  await page.fill('#customerId', 'AB');
  await page.getByText('รหัสลูกค้าต้องเป็นตัวอักษรใหญ่และตัวเลข 3-10 ตัว').waitFor();
  await expectAccessible(page, 'an incomplete form');
  expect(await station.kiln('deployments')).toEqual([]);
});

test('a board that is silent says so in Thai, and a retry after the repair succeeds', async () => {
  const { page } = opened;
  await station.control('fault sim-1 dead-loader');
  await fillForm(page, 'ERR001');
  await page.getByTestId('deploy').click();
  const panel = card(page, 'A1');
  await panel.getByRole('alert').waitFor();
  const words = (await panel.textContent()) ?? '';
  expect(words).toContain('ติดต่อ ESP32 ไม่ได้');
  expect(words).toContain('วิธีแก้ไข:');
  expect(words).toContain('กดปุ่ม BOOT ค้างไว้ขณะเชื่อมต่อ');
  expect(words).toContain('BOARD_SILENT');
  expect(await page.getAttribute('[data-lamp]', 'data-lamp')).toBe('attention');
  expect(await page.locator('.lamp-word').textContent()).toBe('รอคุณ');
  expect(await advice(page)).toContain('A1: ติดต่อ ESP32 ไม่ได้');
  await expectAccessible(page, 'an error');
  await station.control('fault sim-1 none');
  await panel.getByRole('button', { name: 'ลองใหม่' }).click();
  await panel.locator('.result-title').waitFor();
  const deployments = await station.kiln('deployments');
  expect(deployments).toHaveLength(1);
  expect(deployments[0]).toMatchObject({ attempt: 2 });
});

test('an error that no retry can mend has no retry button', async () => {
  const { page } = opened;
  await station.importBundle('esp32', 128 << 10, 'For another chip');
  await page.reload();
  await page.waitForSelector('[data-lamp=ready]');
  await fillForm(page, 'ERR002');
  await page.selectOption('#bundle', {
    label: (await page.locator('#bundle option', { hasText: 'another' }).textContent()) ?? '',
  });
  await page.locator('.pill', { hasText: /^A1$/ }).click();
  await page.getByTestId('deploy').click();
  await page.getByRole('dialog').getByRole('button', { name: 'เขียนทับ', exact: true }).click();
  const panel = card(page, 'A1');
  await panel.getByText('เฟิร์มแวร์ไม่ตรงกับชิปของบอร์ดนี้').waitFor();
  expect(await panel.getByRole('button', { name: 'ลองใหม่' }).count()).toBe(0);
  await panel.getByRole('button', { name: 'ปิด' }).click();
  await page.waitForSelector('[data-lamp=ready]');
});

test('an order that the station refuses is told above the button', async () => {
  const { page } = opened;
  const retired = await page.inputValue('#bundle');
  await station.kiln('firmware', 'retire', retired.replace('bundles/', ''));
  // The page may have heard of it already and chosen another: insist.
  await page.route('**/v1/deployments', (route) =>
    route.request().method() === 'POST'
      ? route.continue({ postData: JSON.stringify({ ...route.request().postDataJSON(), bundle: retired }) })
      : route.continue(),
  );
  await page.locator('.pill', { hasText: 'บอร์ดถัดไป' }).click();
  await page.getByTestId('deploy').click();
  const alert = page.locator('form.order').getByRole('alert');
  await alert.waitFor();
  expect(await alert.textContent()).toContain('เฟิร์มแวร์นี้เลิกใช้แล้ว');
});

test('the browser had nothing to complain about', () => {
  expect(opened.complaints).toEqual([]);
});
