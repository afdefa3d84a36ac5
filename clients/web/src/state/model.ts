import type { ApiError } from '../api/client';
import type {
  Batch,
  Board,
  Bundle,
  Customer,
  Deployment,
  Health,
  Progress,
  Session,
  StationInfo,
  StreamMessage,
} from '../api/types';
import type { CustomerForm, FormField } from '../form/customer';

// How the page stands with the station. `restarting`: the gateway answers and says that the daemon does not.
export type Connection = 'connecting' | 'live' | 'reconnecting' | 'restarting' | 'signed-out';

export type Route =
  | { view: 'bench' }
  | { view: 'history'; deployment: string | null }
  | { view: 'firmware' }
  | { view: 'station' };

// "any": the next board that appears; "ready": one deployment at each port that is ready now.
export type Target = 'any' | 'ready' | { port: string };

// One deployment about to be ordered; the id is made once per press, so that sending it again is harmless.
export interface PlannedOrder {
  requestId: string;
  customer: Customer;
  bundle: string;
  port: string;
}

// Orders that wait for a yes, because some of their boards are finished products already.
export interface RewriteQuestion {
  orders: PlannedOrder[];
  finished: { port: string; mac: string; customerId: string; endTime: string | null }[];
}

export interface OrderState {
  // While a press of Deploy is being worked on, no second press counts.
  phase: 'idle' | 'checking' | 'sending';
  question: RewriteQuestion | null;
  error: ApiError | null;
  // Orders of the last press that were not answered: sent again as they are.
  unsent: PlannedOrder[];
}

export interface State {
  connection: Connection;
  session: Session | null;
  route: Route;
  // Server time minus local time, in milliseconds, as the last heartbeat had it.
  clockOffset: number;
  lastSequence: number;
  // Whether a snapshot has ever arrived: until then nothing is known, not even that there are no boards.
  known: boolean;
  boards: Readonly<Record<string, Board>>;
  deployments: Readonly<Record<string, Deployment>>;
  progress: Readonly<Record<string, Progress>>;
  batches: Readonly<Record<string, Batch>>;
  bundles: Readonly<Record<string, Bundle>>;
  bundlesKnown: boolean;
  health: Health | null;
  station: StationInfo | null;
  form: CustomerForm;
  touched: Readonly<Partial<Record<FormField, true>>>;
  bundle: string;
  target: Target;
  order: OrderState;
  // Names of ended deployments whose panel the person has put away.
  dismissed: Readonly<Record<string, true>>;
  // Passwords shown on request; never stored anywhere else.
  revealed: Readonly<Record<string, string>>;
  // What a button on a card answered, by the name of what it is about.
  cardErrors: Readonly<Record<string, ApiError>>;
}

export type Action =
  | { type: 'stream'; message: StreamMessage; now: number }
  | { type: 'connection'; connection: Connection }
  | { type: 'session'; session: Session }
  | { type: 'route'; route: Route }
  | { type: 'deployments'; deployments: Deployment[] }
  | { type: 'batch'; batch: Batch }
  | { type: 'bundles'; bundles: Bundle[] }
  | { type: 'station'; station: StationInfo }
  | { type: 'form-field'; field: FormField; value: string }
  | { type: 'form-fill'; form: Partial<CustomerForm> }
  | { type: 'form-touch'; fields: FormField[] }
  | { type: 'bundle'; bundle: string }
  | { type: 'target'; target: Target }
  | { type: 'order-phase'; phase: OrderState['phase'] }
  | { type: 'order-question'; question: RewriteQuestion | null }
  | { type: 'order-error'; error: ApiError | null; unsent: PlannedOrder[] }
  | { type: 'order-accepted'; deployment: Deployment }
  | { type: 'new-deployment'; dismiss: string | null }
  | { type: 'dismiss'; deployment: string }
  | { type: 'revealed'; deployment: string; password: string }
  | { type: 'hide'; deployment: string }
  | { type: 'card-error'; deployment: string; error: ApiError | null };
