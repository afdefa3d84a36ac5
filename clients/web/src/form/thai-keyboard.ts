// Latin letters from a keyboard whose layout is set to Thai (Kedmanee, TIS 820): from the key's place where the
// browser tells it, from the character otherwise (pasted text).

// US layout, row by row, beside what the same keys give in the Kedmanee layout.
const US = [
  '`1234567890-=',
  '~!@#$%^&*()_+',
  'qwertyuiop[]\\',
  'QWERTYUIOP{}|',
  "asdfghjkl;'",
  'ASDFGHJKL:"',
  'zxcvbnm,./',
  'ZXCVBNM<>?',
].join('');
const KEDMANEE = [
  '_ๅ/-ภถุึคตจขช',
  '%+๑๒๓๔ู฿๕๖๗๘๙',
  'ๆไำพะัีรนยบลฃ',
  '๐"ฎฑธํ๊ณฯญฐ,ฅ',
  'ฟหกดเ้่าสวง',
  'ฤฆฏโฌ็๋ษศซ.',
  'ผปแอิืทมใฝ',
  '()ฉฮฺ์?ฒฬฦ',
].join('');

const TO_US = new Map<string, string>();
[...KEDMANEE].forEach((thai, index) => {
  const latin = US[index];
  if (latin !== undefined && /[\u0e00-\u0e7f]/.test(thai)) TO_US.set(thai, latin);
});

export function hasThai(text: string): boolean {
  return /[\u0e00-\u0e7f]/.test(text);
}

// Every Thai character replaced by what its key gives in the US layout; everything else stays.
export function kedmaneeToUs(text: string): string {
  return [...text].map((character) => TO_US.get(character) ?? character).join('');
}

export interface Key {
  key: string;
  code: string;
  shiftKey: boolean;
}

const CODE_CHARACTERS: Readonly<Record<string, string>> = {
  Backquote: '`~',
  Minus: '-_',
  Equal: '=+',
  BracketLeft: '[{',
  BracketRight: ']}',
  Backslash: '\\|',
  Semicolon: ';:',
  Quote: '\'"',
  Comma: ',<',
  Period: '.>',
  Slash: '/?',
  Space: '  ',
};
const SHIFTED_DIGITS = ')!@#$%^&*(';

// The US character of a key press by the key's place; null for keys that write nothing.
export function usCharacter({ code, shiftKey }: Key): string | null {
  const letter = /^Key([A-Z])$/.exec(code)?.[1];
  if (letter) return shiftKey ? letter : letter.toLowerCase();
  const digit = /^Digit([0-9])$/.exec(code)?.[1];
  if (digit) return shiftKey ? (SHIFTED_DIGITS[Number(digit)] ?? null) : digit;
  const keypad = /^Numpad([0-9])$/.exec(code)?.[1];
  if (keypad) return keypad;
  return CODE_CHARACTERS[code]?.[shiftKey ? 1 : 0] ?? null;
}

// What a key press adds to the customer id: A-Z or 0-9, whatever the layout is; null when the key's own meaning
// should stand (it is Latin already, or no letter or digit at all).
export function customerIdCharacter(event: Key): string | null {
  if ([...event.key].length !== 1 || /[A-Za-z0-9]/.test(event.key)) return null;
  // Shift does not matter: ids have capitals only. A digit's key counts as the digit, as on layouts that have
  // their digits on the shifted row.
  const character = usCharacter({ key: event.key, code: event.code, shiftKey: false });
  return character !== null && /[a-z0-9]/.test(character) ? character.toUpperCase() : null;
}
