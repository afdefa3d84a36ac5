import { beforeEach, describe, expect, test, vi } from 'vitest';
import { ApiError, type Client } from '../api/client';
import { board, deployment, NOW, snapshot, succeeded } from '../testing/samples';
import { Actions } from './actions';
import { initialState } from './reducer';
import { Store } from './store';

type Order = Parameters<Client['createDeployment']>[0];

// A gateway in memory: answers orders, knows which boards are finished.
class FakeClient {
  orders: Order[] = [];
  finished = new Map<string, ReturnType<typeof succeeded>>();
  macs = new Map<string, string>();
  fail: ApiError | null = null;
  identified: string[] = [];

  createDeployment = async (order: Order) => {
    this.orders.push(order);
    if (this.fail) throw this.fail;
    return deployment(order.requestId, {
      state: 'STATE_PENDING',
      sequence: String(100 + this.orders.length),
    });
  };
  identifyBoard = async (port: string) => {
    this.identified.push(port);
    const mac = this.macs.get(port);
    if (mac === undefined) throw new ApiError(409, { code: 'BOARD_SILENT' });
    return board(port, { mac });
  };
  listDeployments = async ({ mac = '' }: { mac?: string }) => {
    const found = this.finished.get(mac);
    return { deployments: found ? [found] : [] };
  };
  retry = vi.fn(async (_name: string, _requestId: string) => {
    throw new ApiError(0, null);
  });
}

let client: FakeClient;
let store: Store;
let actions: Actions;

beforeEach(() => {
  client = new FakeClient();
  store = new Store(initialState());
  actions = new Actions(store, client as unknown as Client);
  const boards = [board('usb-1'), board('usb-2', { mac: '7c:df:a1:00:00:02' })];
  store.dispatch({ type: 'stream', message: { snapshot: snapshot({ boards }) }, now: NOW });
  store.dispatch({ type: 'bundle', bundle: 'bundles/b1' });
  store.dispatch({
    type: 'form-fill',
    form: { organization: ' org ', customerId: 'BGK001', applicationName: 'app', expiryDate: '' },
  });
});

describe('a press of Deploy', () => {
  test('orders once for each ready port, each with an id of its own', async () => {
    await actions.deploy(NOW);
    expect(client.orders.map(({ port }) => port)).toEqual(['usb-1', 'usb-2']);
    expect(new Set(client.orders.map(({ requestId }) => requestId)).size).toBe(2);
    expect(client.orders[0]?.customer.organization).toBe('org');
    expect(store.state.order.phase).toBe('idle');
  });

  test('a double click is one press', async () => {
    await Promise.all([actions.deploy(NOW), actions.deploy(NOW), actions.deploy(NOW)]);
    expect(client.orders).toHaveLength(2);
  });

  test('an incomplete form orders nothing and shows what is missing', async () => {
    store.dispatch({ type: 'form-field', field: 'applicationName', value: '' });
    expect(await actions.deploy(NOW)).toBe('invalid');
    expect(client.orders).toEqual([]);
    expect(store.state.touched.applicationName).toBe(true);
  });

  test('without a ready board there is nothing to order', async () => {
    store.dispatch({ type: 'stream', message: { snapshot: snapshot({ boards: [] }) }, now: NOW });
    expect(await actions.deploy(NOW)).toBe('no-target');
  });

  test('"any" asks no board', async () => {
    store.dispatch({ type: 'target', target: 'any' });
    await actions.deploy(NOW);
    expect(client.orders.map(({ port }) => port)).toEqual(['any']);
    expect(client.identified).toEqual([]);
  });

  test('an order that was not answered is sent again with the same id', async () => {
    client.fail = new ApiError(0, null);
    await actions.deploy(NOW);
    expect(store.state.order.error?.unanswered).toBe(true);
    const first = client.orders.map(({ requestId }) => requestId);
    client.fail = null;
    client.orders = [];
    await actions.deploy(NOW);
    expect(client.orders.map(({ requestId }) => requestId).sort()).toEqual(first.sort());
    expect(store.state.order).toMatchObject({ error: null, unsent: [] });
  });

  test('an order that was refused is not kept', async () => {
    client.fail = new ApiError(400, { code: 'BUNDLE_RETIRED', recoverable: false });
    await actions.deploy(NOW);
    expect(store.state.order.unsent).toEqual([]);
    expect(store.state.order.error?.body?.code).toBe('BUNDLE_RETIRED');
  });
});

describe('a board that is a finished product', () => {
  beforeEach(() => client.finished.set('7c:df:a1:00:00:02', succeeded('old')));

  test('is asked about before anything is ordered', async () => {
    await actions.deploy(NOW);
    expect(client.orders).toEqual([]);
    expect(store.state.order.question?.finished.map(({ port }) => port)).toEqual(['usb-2']);
  });

  test('is read first when its MAC is not known yet', async () => {
    client.macs.set('usb-1', '7c:df:a1:00:00:01');
    client.finished.set('7c:df:a1:00:00:01', succeeded('older'));
    await actions.deploy(NOW);
    expect(client.identified).toEqual(['usb-1']);
    expect(store.state.order.question?.finished).toHaveLength(2);
  });

  test.each([
    ['none', []],
    ['others', ['usb-1']],
    ['all', ['usb-1', 'usb-2']],
  ] as const)('answer "%s"', async (answer, ports) => {
    await actions.deploy(NOW);
    await actions.answerRewrite(answer);
    expect(client.orders.map(({ port }) => port)).toEqual(ports);
    expect(store.state.order.question).toBeNull();
  });
});

test('a retry that was not answered is sent again with the same id, another attempt with a new one', async () => {
  const failed = deployment('a', { state: 'STATE_FAILED' });
  await actions.retry(failed);
  await actions.retry(failed);
  await actions.retry({ ...failed, attempt: 2 });
  const [first, second, third] = client.retry.mock.calls.map(([, requestId]) => requestId);
  expect(first).toBe(second);
  expect(third).not.toBe(first);
  expect(store.state.cardErrors[failed.name]?.unanswered).toBe(true);
});
