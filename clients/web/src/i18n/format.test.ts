import { expect, test } from 'vitest';
import { baseName, bytes, dateTime, duration, durationMs } from './format';

test('Thai dates have the Gregorian year in Latin digits', () => {
  const shown = dateTime('th', '2026-11-26T05:00:00Z');
  expect(shown).toContain('2026');
  expect(shown).toContain('พ.ย.');
  expect(shown).not.toMatch(/2569|[๐-๙]/);
});

test('no time is no text', () => {
  expect(dateTime('en', null)).toBe('');
  expect(dateTime('en', 'never')).toBe('');
});

test.each([
  [0, '0:00'],
  [7_400, '0:07'],
  [750_000, '12:30'],
  [3_723_000, '1:02:03'],
])('%d ms are %s', (milliseconds, expected) => {
  expect(duration(milliseconds)).toBe(expected);
});

test('durations of the contract', () => {
  expect(durationMs('3.5s')).toBe(3500);
  expect(durationMs('0s')).toBe(0);
  expect(durationMs(null)).toBeNull();
});

test('sizes and names', () => {
  expect(bytes(900)).toBe('900 B');
  expect(bytes(133 * 1024)).toBe('133 KiB');
  expect(bytes(4 * 1024 * 1024)).toBe('4.0 MiB');
  expect(baseName('/srv/records/a.json')).toBe('a.json');
  expect(baseName('C:\\records\\a.json')).toBe('a.json');
});
