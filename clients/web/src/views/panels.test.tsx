// @vitest-environment jsdom
import { render } from 'preact';
import { act } from 'preact/test-utils';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ApiError, type Client } from '../api/client';
import type { Batch, Deployment, Failure, Role } from '../api/types';
import { type Language, text } from '../i18n/texts';
import { Actions } from '../state/actions';
import { initialState } from '../state/reducer';
import { Store } from '../state/store';
import { batch, board, deployment, NOW, snapshot, succeeded } from '../testing/samples';
import { BenchView } from './BenchView';
import { AppContext } from './context';

// The bench as `role` sees it in `language`, with a gateway that answers what the test says.
class Bench {
  readonly root = document.body.appendChild(document.createElement('div'));
  readonly client = {
    retry: vi.fn(async (name: string, requestId: string) => deployment(name, { requestId })),
    cancel: vi.fn(async () => deployment('a')),
    pauseBatch: vi.fn(async () => batch('b', { state: 'STATE_PAUSED', sequence: '11' })),
    resumeBatch: vi.fn(async () => batch('b', { sequence: '12' })),
    reveal: vi.fn(async () => ({ wifiSsid: 'SMC_ESP32_BGK001', wifiPassword: 'aB3dE5gH7jK9' })),
  };
  readonly store = new Store(initialState());
  readonly printed = vi.fn();

  constructor(
    private readonly role: Role = 'operator',
    private readonly language: Language = 'th',
  ) {}

  show(...deployments: Deployment[]): this {
    const boards = [board('usb-1', { alias: 'A1' })];
    this.store.dispatch({
      type: 'stream',
      message: { snapshot: snapshot({ boards, deployments }) },
      now: NOW,
    });
    this.store.dispatch({ type: 'connection', connection: 'live' });
    this.draw();
    return this;
  }

  showBatches(...batches: Batch[]): this {
    const message = { snapshot: snapshot({ batches }) };
    this.store.dispatch({ type: 'stream', message, now: NOW });
    this.store.dispatch({ type: 'connection', connection: 'live' });
    this.draw();
    return this;
  }

  draw(): void {
    const actions = new Actions(this.store, this.client as unknown as Client);
    const mayDeploy = this.role !== 'viewer';
    act(() =>
      render(
        <AppContext.Provider
          value={{
            state: this.store.state,
            dispatch: this.store.dispatch,
            actions,
            t: (key, values) => text(this.language, key, values),
            language: this.language,
            setLanguage: () => {},
            theme: 'light',
            setTheme: () => {},
            sound: false,
            setSound: () => {},
            now: NOW,
            mayDeploy,
            mayManage: this.role === 'admin',
            print: this.printed,
          }}
        >
          <BenchView />
        </AppContext.Provider>,
        this.root,
      ),
    );
  }

  button(label: string): HTMLButtonElement | undefined {
    return [...this.root.querySelectorAll('button')].find((one) => one.textContent?.trim() === label);
  }

  async press(label: string): Promise<void> {
    this.button(label)?.click();
    await vi.waitFor(() => this.draw());
    await Promise.resolve();
    this.draw();
  }
}

const FAILURE: Failure = {
  code: 'BOARD_SILENT',
  legacyType: 'ESP32_COMMUNICATION',
  detail: 'connect: no answer',
  retryable: true,
  icon: '📡',
  colour: 'red',
  texts: [
    { language: 'en', message: 'The board does not answer.', tips: ['Hold the BOOT button.'] },
    { language: 'th', message: 'ติดต่อ ESP32 ไม่ได้', tips: ['กดปุ่ม BOOT ค้างไว้'] },
  ],
};
const failed = (change: Partial<Failure> = {}) =>
  deployment('a', {
    state: 'STATE_FAILED',
    endTime: '2026-11-26T02:00:10Z',
    failure: { ...FAILURE, ...change },
  });

beforeEach(() => {
  vi.stubGlobal('matchMedia', () => ({ matches: false }));
});
afterEach(() => {
  document.body.replaceChildren();
  vi.unstubAllGlobals();
});

describe('the error panel', () => {
  test('has icon, sentence, detail, tips and both buttons', async () => {
    const bench = new Bench().show(failed());
    const alert = bench.root.querySelector('[role=alert]');
    expect(alert?.textContent).toContain('ติดต่อ ESP32 ไม่ได้');
    expect(alert?.textContent).toContain('รายละเอียด: connect: no answer');
    expect(alert?.textContent).toContain('วิธีแก้ไข:');
    expect([...(alert?.querySelectorAll('li') ?? [])].map((one) => one.textContent)).toEqual([
      'กดปุ่ม BOOT ค้างไว้',
    ]);
    expect(alert?.querySelector('.icon-antenna')).not.toBeNull();
    expect(bench.button('ปิด')).toBeDefined();
    await bench.press('ลองใหม่');
    expect(bench.client.retry).toHaveBeenCalledOnce();
  });

  test.each(['red', 'yellow', 'blue'])('is %s where the catalogue says so', (colour) => {
    expect(new Bench().show(failed({ colour })).root.querySelector(`.failure-${colour}`)).not.toBeNull();
  });

  test.each(['🌐', '🔧', '📡', '📁', '⚠️', '⏰', '❌'])('draws %s itself', (icon) => {
    const drawn = new Bench().show(failed({ icon })).root.querySelector('.failure-icon path');
    expect(drawn?.getAttribute('d')).toBeTruthy();
  });

  test('has no retry button when a retry makes no sense', () => {
    expect(new Bench().show(failed({ retryable: false })).button('ลองใหม่')).toBeUndefined();
  });

  test('needs attention: a retry checks the board, so there is one', () => {
    const unknown = { ...failed({ retryable: false }), state: 'STATE_NEEDS_ATTENTION' as const };
    expect(new Bench().show(unknown).button('ลองใหม่')).toBeDefined();
  });

  test('speaks English, too', () => {
    const bench = new Bench('operator', 'en').show(failed());
    expect(bench.root.querySelector('[role=alert]')?.textContent).toContain('The board does not answer.');
    expect(bench.root.querySelector('.lamp-advice')?.textContent?.trim()).toBe(
      'A1: The board does not answer. Hold the BOOT button.',
    );
  });

  test('goes when it is put away', async () => {
    const bench = new Bench().show(failed());
    await bench.press('ปิด');
    expect(bench.root.querySelector('[data-mode]')?.getAttribute('data-mode')).toBe('ready');
  });
});

describe('the success panel', () => {
  const done = succeeded('a', {
    wifiSsid: 'SMC_ESP32_BGK001',
    hasWifiPassword: true,
    recordPath: '/srv/records/customer-BGK001.json',
  });

  test('names file, MAC and WiFi, and says what to do with the file', () => {
    const words = new Bench().show(done).root.querySelector('.result')?.textContent ?? '';
    expect(words).toContain('รายละเอียดการ Deploy:');
    expect(words).toContain('customer-BGK001.json');
    expect(words).not.toContain('/srv/records');
    expect(words).toContain('7c:df:a1:00:00:01');
    expect(words).toContain('SMC_ESP32_BGK001');
    expect(words).toContain('ส่งไฟล์ JSON ให้ Developer เพื่อ generate license');
  });

  test('shows the password when asked, with its QR code, and hides it again', async () => {
    const bench = new Bench().show(done);
    expect(bench.root.textContent).not.toContain('aB3dE5gH7jK9');
    await bench.press('แสดง');
    expect(bench.root.textContent).toContain('aB3dE5gH7jK9');
    expect(bench.root.querySelector('svg.qr')).not.toBeNull();
    await bench.press('ซ่อน');
    expect(bench.root.textContent).not.toContain('aB3dE5gH7jK9');
  });

  test('says why the password cannot be shown', async () => {
    const bench = new Bench().show(done);
    bench.client.reveal.mockRejectedValue(new ApiError(403, { code: 'NOT_ALLOWED', message: 'ไม่มีสิทธิ์' }));
    await bench.press('แสดง');
    expect(bench.root.querySelector('.wifi [role=alert]')?.textContent).toContain('ไม่มีสิทธิ์');
  });
});

describe('a batch', () => {
  test('shows what is made, under way, failed and remaining', () => {
    const strip = new Bench('operator', 'en').showBatches(batch('b')).root.querySelector('[data-batch]');
    const counts = [...(strip?.querySelectorAll('dl > div') ?? [])].map((one) => one.textContent);
    expect(counts).toEqual(['made12/50', 'under way3', 'failed1', 'remaining38']);
    expect(strip?.textContent).toContain('BGK001');
    expect(strip?.textContent).toContain('usb-1-2.*');
  });

  test('is paused and resumed', async () => {
    const bench = new Bench().showBatches(batch('b'));
    await bench.press('หยุดชั่วคราว');
    expect(bench.client.pauseBatch).toHaveBeenCalledWith('batches/b');
    bench.draw();
    await bench.press('ทำต่อ');
    expect(bench.client.resumeBatch).toHaveBeenCalledWith('batches/b');
  });

  test('leaves the bench some time after it is over', () => {
    const over = { state: 'STATE_COMPLETED' as const, succeeded: 50, running: 0 };
    const recent = batch('b', { ...over, endTime: '2026-11-26T02:00:00Z' });
    const old = batch('c', { ...over, endTime: '2026-11-26T01:00:00Z' });
    const { root } = new Bench().showBatches(recent, old);
    const shown = [...root.querySelectorAll('[data-batch]')].map((one) => one.getAttribute('data-batch'));
    expect(shown).toEqual(['batches/b']);
    expect(root.querySelector('[data-batch] button')).toBeNull();
  });

  test('cannot be paused by a viewer', () => {
    expect(new Bench('viewer').showBatches(batch('b')).root.querySelector('[data-batch] button')).toBeNull();
  });
});

test('a viewer sees everything and may press nothing', () => {
  const bench = new Bench('viewer').show(failed());
  expect(bench.root.querySelector('form')).toBeNull();
  expect(bench.root.querySelectorAll('button')).toHaveLength(0);
  expect(bench.root.querySelector('[role=alert]')).not.toBeNull();
});

test('a running deployment has a bar with a name, and steps with states', () => {
  const { root } = new Bench().show(deployment('a'));
  const bar = root.querySelector('[role=progressbar]');
  expect(bar?.getAttribute('aria-valuenow')).toBe('40');
  expect(bar?.getAttribute('aria-label')).toBe('ความคืบหน้าที่ A1');
  expect(root.querySelector('[aria-current=step]')?.textContent).toContain('เขียนเฟิร์มแวร์');
  expect(root.querySelectorAll('.step-finished')).toHaveLength(3);
});
