import { expect, test } from 'vitest';
import { wifiPayload } from './payload';

test.each([
  ['SMC_ESP32_BGK001_0001', 'ypHxpToT7zx92k', 'WIFI:T:WPA;S:SMC_ESP32_BGK001_0001;P:ypHxpToT7zx92k;;'],
  ['a;b', 'c:d,e', 'WIFI:T:WPA;S:a\\;b;P:c\\:d\\,e;;'],
  ['back\\slash', 'say "hi"', 'WIFI:T:WPA;S:back\\\\slash;P:say \\"hi\\";;'],
  ['ไทย', '12345678', 'WIFI:T:WPA;S:ไทย;P:12345678;;'],
])('%s', (ssid, password, expected) => {
  expect(wifiPayload(ssid, password)).toBe(expected);
});
