// What a scanner or a clipboard delivers: one line that fills the whole form.
import { CUSTOMER_ID, type CustomerForm, isDate, normalizeCustomerId } from './customer';
import { hasThai, type Key, kedmaneeToUs, usCharacter } from './thai-keyboard';

// Longer lines are no customer: JSON with every field at its limit stays below.
const MAX_LINE = 2048;
const SEPARATORS = ['\t', ';', '|', ','];
const JSON_NAMES: Readonly<Record<keyof CustomerForm, readonly string[]>> = {
  organization: ['organization', 'org'],
  customerId: ['customerId', 'customer_id', 'id'],
  applicationName: ['applicationName', 'application_name', 'application', 'app'],
  expiryDate: ['expiryDate', 'expiry_date', 'expiry'],
};

// The fields of a scanned or pasted line: JSON, or organization, customer id, application name and perhaps the
// expiry date, separated by tab, semicolon, comma or pipe. Null when it is nothing of the kind.
export function parseLine(text: string): Partial<CustomerForm> | null {
  const line = text.trim();
  if (line === '' || line.length > MAX_LINE) return null;
  return line.startsWith('{') ? parseJson(line) : parseSeparated(line);
}

function parseJson(line: string): Partial<CustomerForm> | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  const outer = value as Record<string, unknown>;
  const inner = outer['customer'];
  const object = typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>) : outer;
  const read = (field: keyof CustomerForm): string => {
    for (const name of JSON_NAMES[field]) {
      const found = object[name];
      if (typeof found === 'string') return found.trim();
    }
    return '';
  };
  return complete(read('organization'), read('customerId'), read('applicationName'), read('expiryDate'));
}

function parseSeparated(line: string): Partial<CustomerForm> | null {
  if (/[\r\n]/.test(line)) return null;
  for (const separator of SEPARATORS) {
    const parts = line.split(separator).map((part) => part.trim());
    if (parts.length !== 3 && parts.length !== 4) continue;
    const [first = '', second = '', third = '', expiry = ''] = parts;
    const isId = (part: string) => CUSTOMER_ID.test(normalizeCustomerId(part));
    // The form's order; or the id first, as label printers tend to put it.
    if (isId(second)) return complete(first, second, third, expiry);
    if (isId(first)) return complete(second, first, third, expiry);
  }
  return null;
}

function complete(
  organization: string,
  id: string,
  applicationName: string,
  expiryDate: string,
): Partial<CustomerForm> | null {
  const customerId = normalizeCustomerId(id);
  if (!CUSTOMER_ID.test(customerId) || organization === '' || applicationName === '') return null;
  return {
    organization,
    customerId,
    applicationName,
    ...(isDate(expiryDate) ? { expiryDate } : {}),
  };
}

// A scanner types a character every few milliseconds; people need 50 ms and more.
const BURST_GAP_MS = 35;
const MIN_BURST = 6;

interface BurstKey {
  key: string;
  us: string | null;
}

// Recognises a scanner among key presses. `feed` every keydown of the page, in order.
export class ScanDetector {
  private keys: BurstKey[] = [];
  private last = Number.NEGATIVE_INFINITY;

  // `time` in milliseconds. "start" when this key may begin a burst (remember the field's content now), "held"
  // when the key must not have its own effect (a tab in the middle of a scan), the scanned line when its Enter
  // came, null otherwise.
  feed(key: Key, time: number): 'start' | 'held' | { line: string } | null {
    if (key.key === 'Shift' || key.key === 'CapsLock') return null;
    const inBurst = time - this.last <= BURST_GAP_MS;
    const gathered = inBurst ? this.keys : [];
    this.last = time;
    if (key.key === 'Enter') {
      this.keys = [];
      return gathered.length >= MIN_BURST ? { line: lineOf(gathered) } : null;
    }
    if (key.key === 'Tab') {
      if (gathered.length < 2) {
        this.keys = [];
        return null;
      }
      gathered.push({ key: '\t', us: '\t' });
      this.keys = gathered;
      return 'held';
    }
    if ([...key.key].length !== 1) {
      this.keys = [];
      return null;
    }
    gathered.push({ key: key.key, us: usCharacter(key) });
    this.keys = gathered.slice(-MAX_LINE);
    return gathered.length === 1 ? 'start' : null;
  }
}

// Scanners send key places, not characters: with a Thai layout everything arrives in Thai.
function lineOf(keys: BurstKey[]): string {
  const typed = keys.map(({ key }) => key).join('');
  if (!hasThai(typed)) return typed;
  return keys.map(({ key, us }) => us ?? kedmaneeToUs(key)).join('');
}
