// What a person can set off: calls to the gateway, and what becomes of their answers.
import { ApiError, type Client } from '../api/client';
import type { Batch, Board, Deployment } from '../api/types';
import { localDate, problemsOf, trimmed } from '../form/customer';
import { makeRequestId } from '../form/request-id';
import type { PlannedOrder, RewriteQuestion } from './model';
import { portCards, portLabel, targetPorts } from './selectors';
import type { Store } from './store';

// Who asked for a password, in the ledger's audit event; the station adds the user.
const REVEAL_REASON = 'shown on the operator page';
// A password that was shown does not stay on an unattended screen.
const REVEALED_MS = 120_000;
// Days with more deployments than this count only the newest ones.
const TODAY_PAGES = 5;

export class Actions {
  // Retries that were pressed, by deployment and attempt: the same press never starts a second attempt.
  private retries = new Map<string, string>();
  private busy = new Set<string>();

  constructor(
    private readonly store: Store,
    readonly client: Client,
  ) {}

  // Everything the page shows beside the stream. Failures leave what is there: the stream tells of the connection.
  async refresh(): Promise<void> {
    const midnight = localDate(new Date());
    await Promise.allSettled([
      this.loadBundles(),
      this.client.station().then((station) => this.store.dispatch({ type: 'station', station })),
      this.loadSince(midnight),
    ]);
  }

  async loadBundles(): Promise<void> {
    const { bundles = [] } = await this.client.listBundles(true);
    this.store.dispatch({ type: 'bundles', bundles });
  }

  private async loadSince(day: string): Promise<void> {
    let token = '';
    for (let page = 0; page < TODAY_PAGES; page++) {
      const answer = await this.client.listDeployments({ from: day }, 1000, token);
      this.store.dispatch({ type: 'deployments', deployments: answer.deployments ?? [] });
      token = answer.nextPageToken ?? '';
      if (token === '') return;
    }
  }

  // One press of Deploy. Does nothing while an earlier press is under way.
  async deploy(now: number): Promise<'invalid' | 'no-target' | 'done'> {
    const { state, dispatch } = this.store;
    if (state.order.phase !== 'idle' || state.order.question !== null) return 'done';
    if (Object.keys(problemsOf(state.form, localDate(new Date(now)))).length > 0 || state.bundle === '') {
      dispatch({
        type: 'form-touch',
        fields: ['organization', 'customerId', 'applicationName', 'expiryDate'],
      });
      return 'invalid';
    }
    if (state.order.unsent.length > 0) {
      await this.send(state.order.unsent);
      return 'done';
    }
    const ports = targetPorts(state, portCards(state, now));
    if (ports.length === 0) return 'no-target';
    const customer = trimmed(state.form);
    const orders = ports.map((port) => ({
      requestId: makeRequestId(),
      customer,
      bundle: state.bundle,
      port,
    }));
    dispatch({ type: 'order-phase', phase: 'checking' });
    let finished: RewriteQuestion['finished'];
    try {
      finished = await this.finishedBoards(orders);
    } catch (error) {
      dispatch({ type: 'order-error', error: asApiError(error), unsent: orders });
      return 'done';
    }
    if (finished.length > 0) dispatch({ type: 'order-question', question: { orders, finished } });
    else await this.send(orders);
    return 'done';
  }

  // The answer to the question whether finished boards may be rewritten.
  async answerRewrite(answer: 'all' | 'others' | 'none'): Promise<void> {
    const { question } = this.store.state.order;
    this.store.dispatch({ type: 'order-question', question: null });
    if (question === null || answer === 'none') return;
    const finished = new Set(question.finished.map(({ port }) => port));
    const orders = question.orders.filter(({ port }) => answer === 'all' || !finished.has(port));
    if (orders.length > 0) await this.send(orders);
  }

  private async finishedBoards(orders: PlannedOrder[]): Promise<RewriteQuestion['finished']> {
    const found = await Promise.all(
      orders.map(async ({ port }) => {
        const board = this.store.state.boards[port];
        if (board?.state !== 'STATE_READY') return null;
        const mac = board.mac || (await this.readMac(board));
        if (!mac) return null;
        const answer = await this.client.listDeployments({ mac, state: 'STATE_SUCCEEDED' }, 1);
        const last = answer.deployments?.[0];
        if (!last) return null;
        return { port, mac, customerId: last.customer.customerId, endTime: last.endTime ?? null };
      }),
    );
    return found.filter((one) => one !== null);
  }

  // A board that does not answer is not ours to judge here: the deployment will say what is wrong with it.
  private async readMac(board: Board): Promise<string> {
    try {
      return (await this.client.identifyBoard(board.port)).mac ?? '';
    } catch {
      return '';
    }
  }

  private async send(orders: PlannedOrder[]): Promise<void> {
    const { dispatch } = this.store;
    dispatch({ type: 'order-phase', phase: 'sending' });
    const unsent: PlannedOrder[] = [];
    let error: ApiError | null = null;
    await Promise.all(
      orders.map(async (order) => {
        try {
          dispatch({ type: 'order-accepted', deployment: await this.client.createDeployment(order) });
        } catch (caught) {
          const failure = asApiError(caught);
          error ??= failure;
          if (failure.unanswered || failure.body?.recoverable) unsent.push(order);
        }
      }),
    );
    if (error) dispatch({ type: 'order-error', error, unsent });
    else dispatch({ type: 'order-phase', phase: 'idle' });
  }

  retry(deployment: Deployment): Promise<void> {
    const press = `${deployment.name} ${deployment.attempt ?? 1}`;
    const requestId = this.retries.get(press) ?? makeRequestId();
    this.retries.set(press, requestId);
    return this.onCard(deployment.name, () => this.client.retry(deployment.name, requestId));
  }

  cancel(name: string): Promise<void> {
    return this.onCard(name, () => this.client.cancel(name));
  }

  async reveal(name: string): Promise<string | null> {
    const shown = this.store.state.revealed[name];
    if (shown !== undefined) return shown;
    let password: string | null = null;
    await this.onCard(name, async () => {
      password = (await this.client.reveal(name, REVEAL_REASON)).wifiPassword ?? '';
      this.store.dispatch({ type: 'revealed', deployment: name, password });
      setTimeout(() => this.store.dispatch({ type: 'hide', deployment: name }), REVEALED_MS);
      return null;
    });
    return password;
  }

  async identify(board: Board): Promise<void> {
    await this.onCard(board.name, async () => {
      await this.client.identifyBoard(board.port);
      return null;
    });
  }

  async togglePause({ name, state }: Batch): Promise<void> {
    await this.onCard(name, async () => {
      const batch = await (state === 'STATE_PAUSED'
        ? this.client.resumeBatch(name)
        : this.client.pauseBatch(name));
      this.store.dispatch({ type: 'batch', batch });
      return null;
    });
  }

  // One call at a time for each card.
  private async onCard(name: string, call: () => Promise<Deployment | null>): Promise<void> {
    if (this.busy.has(name)) return;
    this.busy.add(name);
    this.store.dispatch({ type: 'card-error', deployment: name, error: null });
    try {
      const deployment = await call();
      if (deployment) this.store.dispatch({ type: 'deployments', deployments: [deployment] });
    } catch (error) {
      this.store.dispatch({ type: 'card-error', deployment: name, error: asApiError(error) });
    } finally {
      this.busy.delete(name);
    }
  }

  labelOf(port: string): string {
    const board = this.store.state.boards[port];
    return board ? portLabel(board) : port;
  }
}

export function asApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError(0, null);
}
