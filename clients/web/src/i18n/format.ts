// Numbers, sizes, times as people read them.
import type { Language } from './texts';

// Thai dates keep the Gregorian year: they are compared with records and licences, which have it too.
const LOCALES: Readonly<Record<Language, string>> = { th: 'th-TH-u-ca-gregory-nu-latn', en: 'en-GB' };

export function dateTime(language: Language, iso: string | null | undefined): string {
  const date = new Date(iso ?? '');
  if (Number.isNaN(date.getTime())) return '';
  return new Intl.DateTimeFormat(LOCALES[language], { dateStyle: 'medium', timeStyle: 'short' }).format(date);
}

export function clockTime(language: Language, iso: string | null | undefined): string {
  const date = new Date(iso ?? '');
  if (Number.isNaN(date.getTime())) return '';
  return new Intl.DateTimeFormat(LOCALES[language], { timeStyle: 'medium' }).format(date);
}

// "0:07", "12:30", "1:02:03".
export function duration(milliseconds: number): string {
  const total = Math.max(0, Math.round(milliseconds / 1000));
  const two = (value: number) => String(value).padStart(2, '0');
  const hours = Math.floor(total / 3600);
  const minutes = Math.floor((total % 3600) / 60);
  return hours > 0 ? `${hours}:${two(minutes)}:${two(total % 60)}` : `${minutes}:${two(total % 60)}`;
}

// Milliseconds of a proto3 JSON duration, "3.5s".
export function durationMs(text: string | null | undefined): number | null {
  const seconds = /^(-?\d+(?:\.\d+)?)s$/.exec(text ?? '')?.[1];
  return seconds === undefined ? null : Number(seconds) * 1000;
}

export function bytes(count: number): string {
  if (count < 1024) return `${count} B`;
  if (count < 1024 * 1024) return `${Math.round(count / 1024)} KiB`;
  return `${(count / (1024 * 1024)).toFixed(1)} MiB`;
}

export function rate(bytesPerSecond: number): string {
  return `${bytes(bytesPerSecond)}/s`;
}

export function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

export function baseName(path: string): string {
  return path.split(/[\\/]/).pop() ?? path;
}
