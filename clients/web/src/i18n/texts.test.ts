import { expect, test } from 'vitest';
import { LANGUAGES, TEXTS, text } from './texts';

const entries = Object.entries(TEXTS) as [string, Record<string, string>][];
const placeholders = (words: string) => [...words.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();

test.each(entries)('%s has words in every language, with the same values', (_, words) => {
  expect(Object.keys(words).sort()).toEqual([...LANGUAGES].sort());
  for (const language of LANGUAGES) expect(words[language]?.trim()).toBeTruthy();
  expect(placeholders(words['th'] ?? '')).toEqual(placeholders(words['en'] ?? ''));
});

test("the source documents' words stand as they were given", () => {
  expect(text('th', 'retry')).toBe('ลองใหม่');
  expect(text('th', 'close')).toBe('ปิด');
  expect(text('th', 'deployAnother')).toBe('Deploy อีกรายการ');
  expect(text('th', 'deploymentDetails')).toBe('รายละเอียดการ Deploy:');
  expect(text('th', 'licenceHint')).toBe('ส่งไฟล์ JSON ให้ Developer เพื่อ generate license');
  expect(text('th', 'adviceFillForm')).toBe('กรุณากรอกข้อมูลลูกค้า');
  expect(text('th', 'statusBoot')).toBe('Upload สำเร็จ! รอ ESP32 boot up...');
});

test('values fill their places', () => {
  expect(text('en', 'page', { n: 3 })).toBe('Page 3');
  expect(text('en', 'page')).toBe('Page {n}');
});
