import { describe, expect, test } from 'vitest';
import { customerIdCharacter, hasThai, kedmaneeToUs, usCharacter } from './thai-keyboard';

describe('from Thai characters', () => {
  test.each([
    ['ฺฌณ', 'BGI'],
    ['ิเา', 'bgk'],
    ['จๅ', '01'],
    ['ภถุึคตจขช', '4567890-='],
    ['ๆไำพะัีรนยบลฃ', 'qwertyuiop[]\\'],
    ['ฟหกดเ้่าสวง', "asdfghjkl;'"],
    ['ผปแอิืทมใฝ', 'zxcvbnm,./'],
    ['๑๒๓๔ู฿๕๖๗๘๙', '@#$%^&*()_+'],
  ])('%s is %s', (thai, us) => {
    expect(kedmaneeToUs(thai)).toBe(us);
  });

  test('Latin text stays as it is', () => {
    expect(kedmaneeToUs('BGK/001-x')).toBe('BGK/001-x');
    expect(hasThai('BGK/001-x')).toBe(false);
    expect(hasThai('BGKจ')).toBe(true);
  });
});

describe('from key places', () => {
  const key = (code: string, character: string, shiftKey = false) => ({ code, key: character, shiftKey });

  test.each([
    [key('KeyB', 'ิ'), 'B'],
    [key('KeyB', 'ฺ', true), 'B'],
    [key('Digit1', 'ๅ'), '1'],
    [key('Digit2', '/'), '2'],
    [key('Digit3', '-'), '3'],
    [key('Digit1', '&'), '1'],
    [key('Numpad7', '๗'), '7'],
  ])('%j writes %s into the customer id', (event, expected) => {
    expect(customerIdCharacter(event)).toBe(expected);
  });

  test.each([
    key('KeyB', 'b'),
    key('KeyY', 'z'),
    key('Digit1', '1'),
    key('Tab', 'Tab'),
    key('Enter', 'Enter'),
    key('Slash', 'ฝ'),
    key('Backspace', 'Backspace'),
  ])('%j keeps its own meaning', (event) => {
    expect(customerIdCharacter(event)).toBeNull();
  });

  test('punctuation of a scan comes from its place, too', () => {
    expect(usCharacter(key('BracketLeft', 'ฐ', true))).toBe('{');
    expect(usCharacter(key('Quote', '.', true))).toBe('"');
    expect(usCharacter(key('Digit9', '๖', true))).toBe('(');
    expect(usCharacter(key('ShiftLeft', 'Shift'))).toBeNull();
  });
});
