import type { Failure, FailureText } from '../api/types';
import type { Language } from '../i18n/texts';

// The failure's words in the page's language; the station sends all it speaks.
export function failureText(failure: Failure | null | undefined, language: Language): FailureText | null {
  const texts = failure?.texts ?? [];
  return texts.find((one) => one.language === language) ?? texts[0] ?? null;
}
