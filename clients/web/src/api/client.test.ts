import { afterEach, expect, test, vi } from 'vitest';
import { ApiError, Client, filterQuery } from './client';

afterEach(() => vi.unstubAllGlobals());

function answering(status: number, body: string) {
  const fetch = vi.fn(async (_path: string, _init: RequestInit) => new Response(body, { status }));
  vi.stubGlobal('fetch', fetch);
  return fetch;
}

test("every unsafe call is JSON in the page's language", async () => {
  const fetch = answering(200, '{"name":"deployments/a"}');
  await new Client(() => 'th').retry('deployments/a', 'r1');
  const [path, init] = fetch.mock.calls[0] ?? [];
  expect(path).toBe('/v1/deployments/a:retry');
  expect(init?.method).toBe('POST');
  expect(init?.headers).toEqual({ 'Accept-Language': 'th', 'Content-Type': 'application/json' });
  expect(init?.body).toBe('{"requestId":"r1"}');
});

test("an error carries the gateway's words", async () => {
  answering(409, '{"code":"PORT_BUSY","message":"มีโปรแกรมอื่นใช้พอร์ตนี้อยู่","recoverable":true}');
  const error = await new Client(() => 'th').station().catch((caught) => caught);
  expect(error).toBeInstanceOf(ApiError);
  expect(error.body.code).toBe('PORT_BUSY');
  expect(error.unanswered).toBe(false);
});

test('an answer that is no JSON, as a proxy gives it, is no answer of the station', async () => {
  answering(502, '<html>bad gateway</html>');
  const error = await new Client(() => 'th').station().catch((caught) => caught);
  expect(error.unanswered).toBe(true);
});

test('a network that fails is an unanswered call', async () => {
  vi.stubGlobal('fetch', async () => {
    throw new TypeError('failed to fetch');
  });
  const error = await new Client(() => 'th').station().catch((caught) => caught);
  expect(error.unanswered).toBe(true);
});

test('401 signs out', async () => {
  answering(401, '{"code":"SIGN_IN_REQUIRED"}');
  const signedOut = vi.fn();
  await new Client(() => 'th', signedOut).station().catch(() => {});
  expect(signedOut).toHaveBeenCalledOnce();
});

test("a filter's days are whole days at the bench", () => {
  const query = filterQuery({
    customerId: 'BGK001',
    mac: '7C:DF',
    state: 'STATE_FAILED',
    from: '2026-11-25',
    to: '2026-11-26',
  });
  expect(query.get('filter.customerId')).toBe('BGK001');
  expect(query.get('filter.mac')).toBe('7c:df');
  expect(query.get('filter.states')).toBe('STATE_FAILED');
  expect(query.get('filter.createdAfter')).toBe(new Date(2026, 10, 25).toISOString());
  expect(query.get('filter.createdBefore')).toBe(new Date(2026, 10, 27).toISOString());
  expect([...filterQuery({}).keys()]).toEqual([]);
});
