import { describe, expect, test } from 'vitest';
import { parseLine, ScanDetector } from './scan';

const CUSTOMER = { organization: 'Bangkok Hospital', customerId: 'BGK001', applicationName: 'SMC_Ward_A' };

describe('a line', () => {
  test.each([
    ['tab', 'Bangkok Hospital\tBGK001\tSMC_Ward_A'],
    ['semicolon', 'Bangkok Hospital; BGK001; SMC_Ward_A'],
    ['comma', 'Bangkok Hospital,bgk001,SMC_Ward_A\r\n'],
    ['pipe', 'Bangkok Hospital | BGK001 | SMC_Ward_A'],
    ['the id first', 'BGK001;Bangkok Hospital;SMC_Ward_A'],
    [
      'JSON, camel case',
      '{"organization":"Bangkok Hospital","customerId":"bgk001","applicationName":"SMC_Ward_A"}',
    ],
    [
      'JSON, snake case',
      '{"organization":"Bangkok Hospital","customer_id":"BGK001","application_name":"SMC_Ward_A"}',
    ],
    [
      'a record',
      '{"version":"1","customer":{"organization":"Bangkok Hospital","customer_id":"BGK001","application":"SMC_Ward_A"}}',
    ],
  ])('separated by %s', (_, line) => {
    expect(parseLine(line)).toEqual(CUSTOMER);
  });

  test('may carry an expiry date', () => {
    expect(parseLine('Bangkok Hospital;BGK001;SMC_Ward_A;2027-01-31')).toEqual({
      ...CUSTOMER,
      expiryDate: '2027-01-31',
    });
    expect(parseLine('Bangkok Hospital;BGK001;SMC_Ward_A;soon')).toEqual(CUSTOMER);
  });

  test('commas inside of another separator stay', () => {
    expect(parseLine('Clinic, East Wing\tBGK001\tApp')?.organization).toBe('Clinic, East Wing');
  });

  test.each([
    'BGK001',
    'Bangkok Hospital',
    'a;b;c',
    'a;BGK001',
    ';BGK001;app',
    '{"organization":"x"}',
    '{broken',
    '[1,2,3]',
    'null',
    'a\tBGK001\tb\nc\tBGK002\td',
    `${'x'.repeat(3000)};BGK001;app`,
    '',
  ])('%s is no customer', (line) => {
    expect(parseLine(line)).toBeNull();
  });
});

describe('a scanner', () => {
  const feed = (detector: ScanDetector, text: string, gap: number, start = 0) =>
    [...text].map((character, i) =>
      detector.feed(
        {
          key: character === '\t' ? 'Tab' : character === '\n' ? 'Enter' : character,
          code: '',
          shiftKey: false,
        },
        start + i * gap,
      ),
    );

  test('types fast and ends in Enter', () => {
    const answers = feed(new ScanDetector(), 'org;BGK001;app\n', 8);
    expect(answers[0]).toBe('start');
    expect(answers.at(-1)).toEqual({ line: 'org;BGK001;app' });
  });

  test('sends tabs that must not move the focus', () => {
    const answers = feed(new ScanDetector(), 'org\tBGK001\tapp\n', 8);
    expect(answers[3]).toBe('held');
    expect(answers.at(-1)).toEqual({ line: 'org\tBGK001\tapp' });
  });

  test('is no person: people type slowly, and their Tab and Enter are their own', () => {
    expect(
      feed(new ScanDetector(), 'BGK001\tapp\n', 90).every((one) => one === null || one === 'start'),
    ).toBe(true);
  });

  test('two quick keys and Enter are no scan', () => {
    expect(feed(new ScanDetector(), 'ab\n', 8).at(-1)).toBeNull();
  });

  test('a scan right after typing begins anew', () => {
    const detector = new ScanDetector();
    feed(detector, 'xyz', 90);
    expect(feed(detector, 'org;BGK001;app\n', 8, 1000).at(-1)).toEqual({ line: 'org;BGK001;app' });
  });

  test('with a Thai layout is read by the places of its keys', () => {
    const detector = new ScanDetector();
    const keys = [
      ['เ', 'KeyG', false],
      ['ว', 'Semicolon', false],
      ['ฺ', 'KeyB', true],
      ['ฌ', 'KeyG', true],
      ['จ', 'Digit0', false],
      ['ๅ', 'Digit1', false],
      ['ว', 'Semicolon', false],
      ['ฟ', 'KeyA', false],
    ] as const;
    keys.forEach(([key, code, shiftKey], i) => {
      if (shiftKey) detector.feed({ key: 'Shift', code: 'ShiftLeft', shiftKey }, i * 8);
      detector.feed({ key, code, shiftKey }, i * 8);
    });
    expect(detector.feed({ key: 'Enter', code: 'Enter', shiftKey: false }, 70)).toEqual({ line: 'g;BG01;a' });
  });
});
