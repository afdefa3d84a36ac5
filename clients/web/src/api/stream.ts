// The one event stream of the page. Reconnects by itself for as long as the page lives; each new connection that
// cannot resume begins with a snapshot, so that nothing of an older connection has to be remembered.
import type { Connection } from '../state/model';
import type { StreamMessage } from './types';

// The daemon sends a heartbeat at least every 10 s; two lost ones mean a dead connection.
const SILENCE_MS = 25_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 5_000;

export interface StreamHandlers {
  onMessage: (message: StreamMessage) => void;
  onConnection: (connection: Connection) => void;
}

export class EventStream {
  private source: EventSource | null = null;
  private silence: ReturnType<typeof setTimeout> | undefined;
  private pause: ReturnType<typeof setTimeout> | undefined;
  private pauseMs = FIRST_PAUSE_MS;
  private stopped = true;

  constructor(
    private readonly url: string,
    private readonly handlers: StreamHandlers,
    // Asks why there is no stream: what the gateway's own answer to a plain call says.
    private readonly diagnose: () => Promise<Connection>,
  ) {}

  start(): void {
    this.stop();
    this.stopped = false;
    this.pauseMs = FIRST_PAUSE_MS;
    this.open();
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.pause);
    this.close();
  }

  // Tries at once: the network came back, or the page was looked at again.
  nudge(): void {
    if (this.stopped || this.source !== null) return;
    clearTimeout(this.pause);
    this.open();
  }

  private open(): void {
    const source = new EventSource(this.url);
    this.source = source;
    this.watchSilence();
    for (const kind of ['snapshot', 'event', 'progress', 'heartbeat']) {
      source.addEventListener(kind, (event: MessageEvent<string>) => {
        if (this.source !== source) return;
        this.watchSilence();
        this.pauseMs = FIRST_PAUSE_MS;
        this.handlers.onMessage(JSON.parse(event.data) as StreamMessage);
        this.handlers.onConnection('live');
      });
    }
    // The station no longer holds what the browser would resume from; what follows begins with a snapshot.
    source.addEventListener('reset', () => this.watchSilence());
    source.addEventListener('error', (event) => {
      if (this.source !== source) return;
      if (event instanceof MessageEvent) {
        // The gateway's word that the station is away. The stream goes on when it is back; should the gateway end
        // it instead, the error below follows.
        this.watchSilence();
        this.handlers.onConnection('restarting');
        return;
      }
      // The browser would retry by itself, but not after an answer that is no stream, and with an id that a
      // restored station may not know. A fresh connection begins with a snapshot and is never wrong.
      this.again(source, this.pauseMs);
    });
  }

  private again(source: EventSource, pauseMs: number): void {
    if (this.source !== source) return;
    this.close();
    if (this.stopped) return;
    if (pauseMs > 0) {
      void this.diagnose().then((connection) => {
        if (!this.stopped && this.source === null) this.handlers.onConnection(connection);
      });
      this.pauseMs = Math.min(this.pauseMs * 2, LONGEST_PAUSE_MS);
    }
    this.pause = setTimeout(() => {
      if (!this.stopped && this.source === null) this.open();
    }, pauseMs);
  }

  private watchSilence(): void {
    clearTimeout(this.silence);
    const source = this.source;
    this.silence = setTimeout(() => {
      if (source !== null) this.again(source, FIRST_PAUSE_MS);
    }, SILENCE_MS);
  }

  private close(): void {
    clearTimeout(this.silence);
    this.source?.close();
    this.source = null;
  }
}
