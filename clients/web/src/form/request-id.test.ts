import { afterEach, expect, test, vi } from 'vitest';
import { makeRequestId } from './request-id';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

afterEach(() => vi.unstubAllGlobals());

test('is a random UUID', () => {
  expect(makeRequestId()).toMatch(UUID);
  expect(makeRequestId()).not.toBe(makeRequestId());
});

test('also on a page served over plain HTTP, without crypto.randomUUID', () => {
  vi.stubGlobal('crypto', { getRandomValues: (bytes: Uint8Array) => bytes.map((_, i) => i * 37) });
  expect(makeRequestId()).toMatch(UUID);
});
