// Calls to the gateway. Every failure is an ApiError with words for a person.

import { readSession } from './session';
import type {
  ApiErrorBody,
  Batch,
  Board,
  Bundle,
  Credentials,
  Customer,
  Deployment,
  DeploymentState,
  Health,
  LedgerVerdict,
  Session,
  StationEvent,
  StationInfo,
} from './types';

// `body` is null when the gateway did not answer at all.
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly body: ApiErrorBody | null,
  ) {
    super(body?.message ?? `HTTP ${status}`);
  }
  // Nothing was answered: the order may or may not have arrived, and sending the same request id again is safe.
  get unanswered(): boolean {
    return this.body === null;
  }
}

export interface HistoryFilter {
  // Part of the customer, the MAC, the SSID or the deployment's id.
  text: string;
  customerId: string;
  mac: string;
  state: DeploymentState | '';
  // Dates at the bench, YYYY-MM-DD, both inclusive; empty for no bound.
  from: string;
  to: string;
}

// The gateway's own deadline for one call is 30 s; after that nothing more can come.
const DEADLINE_MS = 35_000;

export class Client {
  constructor(
    private readonly language: () => string,
    private readonly onSignedOut: () => void = () => {},
  ) {}

  session(): Promise<Session> {
    return this.call<unknown>('GET', '/v1/session').then(readSession);
  }
  signIn(token: string): Promise<unknown> {
    return this.call('POST', '/v1/session', { token });
  }
  signOut(): Promise<unknown> {
    return this.call('DELETE', '/v1/session');
  }
  station(): Promise<StationInfo> {
    return this.call('GET', '/v1/station');
  }
  verifyLedger(): Promise<LedgerVerdict> {
    return this.call('POST', '/v1/ledger:verify', {});
  }
  health(): Promise<Health> {
    return this.call('GET', '/v1/health');
  }
  identifyBoard(port: string): Promise<Board> {
    return this.call('POST', `/v1/boards/${encodeURIComponent(port)}:identify`, {});
  }
  createDeployment(order: {
    requestId: string;
    customer: Customer;
    bundle: string;
    port: string;
  }): Promise<Deployment> {
    return this.call('POST', '/v1/deployments', order);
  }
  deployment(name: string): Promise<Deployment> {
    return this.call('GET', `/v1/${name}`);
  }
  listDeployments(
    filter: Partial<HistoryFilter>,
    pageSize: number,
    pageToken = '',
  ): Promise<{ deployments?: Deployment[]; nextPageToken?: string }> {
    const query = filterQuery(filter);
    query.set('pageSize', String(pageSize));
    if (pageToken !== '') query.set('pageToken', pageToken);
    return this.call('GET', `/v1/deployments?${query}`);
  }
  cancel(name: string): Promise<Deployment> {
    return this.call('POST', `/v1/${name}:cancel`, {});
  }
  retry(name: string, requestId: string): Promise<Deployment> {
    return this.call('POST', `/v1/${name}:retry`, { requestId });
  }
  reveal(name: string, reason: string): Promise<Credentials> {
    return this.call('POST', `/v1/${name}:reveal`, { reason });
  }
  events(deployment: string, pageToken = ''): Promise<{ events?: StationEvent[]; nextPageToken?: string }> {
    const query = new URLSearchParams({ 'filter.deployment': deployment, pageSize: '500' });
    if (pageToken !== '') query.set('pageToken', pageToken);
    return this.call('GET', `/v1/events:list?${query}`);
  }
  pauseBatch(name: string): Promise<Batch> {
    return this.call('POST', `/v1/${name}:pause`, {});
  }
  resumeBatch(name: string): Promise<Batch> {
    return this.call('POST', `/v1/${name}:resume`, {});
  }
  listBundles(includeRetired: boolean): Promise<{ bundles?: Bundle[] }> {
    return this.call('GET', `/v1/bundles?pageSize=1000&includeRetired=${includeRetired}`);
  }
  retireBundle(name: string): Promise<Bundle> {
    return this.call('POST', `/v1/${name}:retire`, {});
  }

  // Sends a package. `onProgress` gets fractions of what has left this computer, 0 to 1.
  importBundle(
    file: File,
    title: string,
    onProgress: (fraction: number) => void,
    signal: AbortSignal,
  ): Promise<{ bundle?: Bundle; alreadyExisted?: boolean }> {
    const query = new URLSearchParams({ fileName: file.name });
    if (title !== '') query.set('title', title);
    // fetch() cannot tell how much it has sent.
    const request = new XMLHttpRequest();
    return new Promise((resolve, reject) => {
      request.open('POST', `/v1/bundles:import?${query}`);
      request.setRequestHeader('Content-Type', 'application/octet-stream');
      request.setRequestHeader('Accept-Language', this.language());
      request.upload.onprogress = (event) => {
        if (event.lengthComputable) onProgress(event.loaded / event.total);
      };
      request.onload = () => {
        const body = parse(request.responseText);
        if (request.status >= 200 && request.status < 300) resolve((body ?? {}) as { bundle?: Bundle });
        else reject(this.failed(request.status, body));
      };
      request.onerror = () => reject(new ApiError(0, null));
      request.onabort = () => reject(new DOMException('aborted', 'AbortError'));
      signal.addEventListener('abort', () => request.abort());
      request.send(file);
    });
  }

  private async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const headers: Record<string, string> = { 'Accept-Language': this.language() };
    // On every unsafe method, with a body or not: it is what keeps other sites' pages out.
    if (method !== 'GET') headers['Content-Type'] = 'application/json';
    let response: Response;
    let text: string;
    try {
      response = await fetch(path, {
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(DEADLINE_MS),
        cache: 'no-store',
      });
      text = await response.text();
    } catch {
      throw new ApiError(0, null);
    }
    const answer = parse(text);
    if (!response.ok) throw this.failed(response.status, answer);
    return (answer ?? {}) as T;
  }

  private failed(status: number, answer: unknown): ApiError {
    if (status === 401) this.onSignedOut();
    const body = typeof answer === 'object' && answer !== null ? (answer as ApiErrorBody) : null;
    return new ApiError(status, body);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

// The gateway's query for a filter: bounds as moments, from the days at the bench.
export function filterQuery(filter: Partial<HistoryFilter>): URLSearchParams {
  const query = new URLSearchParams();
  if (filter.text) query.set('filter.text', filter.text);
  if (filter.customerId) query.set('filter.customerId', filter.customerId);
  if (filter.mac) query.set('filter.mac', filter.mac.toLowerCase());
  if (filter.state) query.set('filter.states', filter.state);
  if (filter.from) query.set('filter.createdAfter', startOfDay(filter.from, 0));
  if (filter.to) query.set('filter.createdBefore', startOfDay(filter.to, 1));
  return query;
}

function startOfDay(day: string, plusDays: number): string {
  const [year = 0, month = 1, date = 1] = day.split('-').map(Number);
  return new Date(year, month - 1, date + plusDays).toISOString();
}

// The record holds the WiFi password: the station notes who took it, and why.
export function recordUrl(name: string): string {
  return `/v1/${name}/record?reason=${encodeURIComponent('downloaded on the operator page')}`;
}
