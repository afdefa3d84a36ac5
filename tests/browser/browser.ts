// Debian's Chromium, driven by playwright-core; `make test-browser` needs the package `chromium` and no download.
import { existsSync } from 'node:fs';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { PATIENCE_MS } from './station';

const CANDIDATES = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/snap/bin/chromium',
  '/usr/bin/google-chrome',
];

export async function launch(): Promise<Browser> {
  const executablePath = process.env['CHROMIUM'] ?? CANDIDATES.find((path) => existsSync(path));
  if (executablePath === undefined) throw new Error('no Chromium: scripts/setup --checks installs it');
  // Containers give no user namespaces; every page here is our own.
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}

export interface Opened {
  page: Page;
  context: BrowserContext;
  // What the browser complained of: script errors and breaches of the content security policy.
  complaints: string[];
}

export async function open(
  browser: Browser,
  url: string,
  options: { language?: 'th' | 'en'; dark?: boolean; width?: number; height?: number; touch?: boolean } = {},
): Promise<Opened> {
  const context = await browser.newContext({
    locale: options.language === 'en' ? 'en-GB' : 'th-TH',
    timezoneId: 'Asia/Bangkok',
    colorScheme: options.dark ? 'dark' : 'light',
    viewport: { width: options.width ?? 1440, height: options.height ?? 900 },
    hasTouch: options.touch ?? false,
    acceptDownloads: true,
  });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (/Content Security Policy|Refused to/i.test(message.text())) complaints.push(message.text());
  });
  await page.goto(url);
  return { page, context, complaints };
}

export function card(page: Page, label: string) {
  return page.locator('article.card', {
    has: page.locator('.card-label', { hasText: new RegExp(`^${label}$`) }),
  });
}

// The sentence that says what to do next.
export async function advice(page: Page): Promise<string> {
  return ((await page.getByTestId('advice').textContent()) ?? '').trim();
}

export async function fillForm(page: Page, customerId: string): Promise<void> {
  await page.fill('#organization', 'โรงพยาบาลกรุงเทพ');
  await page.fill('#customerId', customerId);
  await page.fill('#applicationName', 'SMC_Cabinet_Ward_A');
}

// Presses keys as a keyboard with the Thai layout does: the character is Thai, the place is the key's.
export async function pressThai(page: Page, keys: readonly (readonly [character: string, code: string])[]) {
  const devtools = await page.context().newCDPSession(page);
  for (const [key, code] of keys) {
    await devtools.send('Input.dispatchKeyEvent', { type: 'keyDown', key, code, text: key });
    await devtools.send('Input.dispatchKeyEvent', { type: 'keyUp', key, code });
  }
  await devtools.detach();
}

// Types as a scanner does: all keys in one go, Enter at the end. With `emptied`, as soon as the page has these fields
// emptied, before its next frame.
export async function scan(page: Page, line: string, emptied: string[] = []): Promise<void> {
  await page.evaluate(
    async ([text, ids]) => {
      for (const id of ids) {
        const field = document.getElementById(id) as HTMLInputElement;
        field.value = '';
        field.dispatchEvent(new InputEvent('input', { bubbles: true }));
      }
      if (ids.length > 0) await new Promise((resolve) => setTimeout(resolve));
      const target = () => document.activeElement ?? document.body;
      const names: Record<string, string> = { '\t': 'Tab', '\n': 'Enter' };
      let time = performance.now();
      for (const character of `${text}\n`) {
        const key = names[character] ?? character;
        const event = new KeyboardEvent('keydown', { key, code: '', bubbles: true, cancelable: true });
        // The scanner's pace, however busy this machine is.
        Object.defineProperty(event, 'timeStamp', { value: time++ });
        const wanted = target().dispatchEvent(event);
        if (wanted && key === character) document.execCommand('insertText', false, character);
      }
    },
    [line, emptied] as const,
  );
}
