// What this browser remembers between visits. Never anything secret.
import { LANGUAGES, type Language } from '../i18n/texts';
import type { State, Target } from './model';

const PREFIX = 'kiln.';
// Panels put away long ago cannot come back: the snapshot has forgotten them.
const MAX_DISMISSED = 300;

function read(name: string): string | null {
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    return null; // Storage is switched off: the page works, it only forgets.
  }
}

function write(name: string, value: string): void {
  try {
    localStorage.setItem(PREFIX + name, value);
  } catch {
    // As above.
  }
}

export function rememberedLanguage(): Language {
  const stored = read('language');
  const known = LANGUAGES.find((language) => language === stored);
  if (known) return known;
  const wanted = navigator.languages.find((tag) => /^(th|en)\b/i.test(tag)) ?? 'th';
  return wanted.toLowerCase().startsWith('en') ? 'en' : 'th';
}

export function rememberLanguage(language: Language): void {
  write('language', language);
}

export type Theme = 'light' | 'dark';

export function rememberedTheme(): Theme | null {
  const stored = read('theme');
  return stored === 'light' || stored === 'dark' ? stored : null;
}

export function rememberTheme(theme: Theme): void {
  write('theme', theme);
}

export function rememberedSound(): boolean {
  return read('sound') === 'on';
}

export function rememberSound(on: boolean): void {
  write('sound', on ? 'on' : 'off');
}

export function rememberedChoices(): Partial<Pick<State, 'bundle' | 'target' | 'dismissed'>> {
  const names = (read('dismissed') ?? '').split(' ').filter((name) => name !== '');
  return {
    bundle: read('bundle') ?? '',
    target: parseTarget(read('target')),
    dismissed: Object.fromEntries(names.map((name) => [name, true as const])),
  };
}

function parseTarget(text: string | null): Target {
  if (text?.startsWith('port:')) return { port: text.slice('port:'.length) };
  return text === 'any' ? 'any' : 'ready';
}

export function rememberChoices(before: State, after: State): void {
  if (before.bundle !== after.bundle) write('bundle', after.bundle);
  if (before.target !== after.target) {
    write('target', typeof after.target === 'string' ? after.target : `port:${after.target.port}`);
  }
  if (before.dismissed !== after.dismissed) {
    write('dismissed', Object.keys(after.dismissed).slice(-MAX_DISMISSED).join(' '));
  }
}
