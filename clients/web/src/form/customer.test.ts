import { expect, test } from 'vitest';
import { isDate, localDate, normalizeCustomerId, problemsOf } from './customer';

const GOOD = { organization: 'โรงพยาบาล', customerId: 'BGK001', applicationName: 'app', expiryDate: '' };
const problems = (change: object) => problemsOf({ ...GOOD, ...change }, '2026-11-26');

test('a complete form has no problem', () => {
  expect(problems({})).toEqual({});
  expect(problems({ expiryDate: '2026-11-27' })).toEqual({});
});

test.each([
  [{ organization: '  ' }, { organization: 'organizationMissing' }],
  [{ organization: 'ก'.repeat(201) }, { organization: 'tooLong' }],
  [{ customerId: '' }, { customerId: 'customerIdMissing' }],
  [{ customerId: 'AB' }, { customerId: 'customerIdInvalid' }],
  [{ customerId: 'ABCDEFGHIJK' }, { customerId: 'customerIdInvalid' }],
  [{ customerId: 'ฺBG1' }, { customerId: 'customerIdInvalid' }],
  [{ customerId: 'BGK-1' }, { customerId: 'customerIdInvalid' }],
  [{ applicationName: '' }, { applicationName: 'applicationMissing' }],
  [{ applicationName: 'a'.repeat(101) }, { applicationName: 'tooLong' }],
  [{ expiryDate: '2026-11-26' }, { expiryDate: 'expiryPast' }],
  [{ expiryDate: '2026-02-30' }, { expiryDate: 'expiryInvalid' }],
  [{ expiryDate: '30/11/2026' }, { expiryDate: 'expiryInvalid' }],
])('%j', (change, expected) => {
  expect(problems(change)).toEqual(expected);
});

test('dates are real days of the calendar', () => {
  expect(isDate('2028-02-29')).toBe(true);
  expect(isDate('2027-02-29')).toBe(false);
});

test("today is the bench's day, not Greenwich's", () => {
  expect(localDate(new Date(2026, 0, 2, 0, 30))).toBe('2026-01-02');
});

test('customer ids are capitals without blanks', () => {
  expect(normalizeCustomerId(' b gk\t001 ')).toBe('BGK001');
});
