// The station's messages as the gateway sends them: proto3 JSON of kiln.v1, camelCase, 64-bit integers as
// strings, fields at their default value possibly absent.

export type BoardState =
  | 'STATE_UNSPECIFIED'
  | 'STATE_ABSENT'
  | 'STATE_READY'
  | 'STATE_BUSY'
  | 'STATE_UNUSABLE';

export interface FailureText {
  language: string;
  message: string;
  tips?: string[];
}

export interface Failure {
  code: string;
  errorClass?: string;
  legacyType?: string;
  detail?: string;
  retryable?: boolean;
  icon?: string;
  colour?: string;
  texts?: FailureText[];
}

export interface Board {
  name: string;
  port: string;
  alias?: string;
  state: BoardState;
  address?: string;
  adapter?: string;
  chip?: string;
  mac?: string;
  flashSizeBytes?: number;
  deployment?: string;
  failure?: Failure | null;
  changeTime?: string | null;
}

export interface Customer {
  organization: string;
  customerId: string;
  applicationName: string;
  expiryDate?: string;
}

export const STEPS = [
  'STEP_PREPARE',
  'STEP_CONNECT',
  'STEP_IDENTIFY',
  'STEP_FLASH',
  'STEP_VERIFY',
  'STEP_BOOT',
  'STEP_CONFIRM',
  'STEP_EXPORT',
  'STEP_DONE',
] as const;
export type Step = (typeof STEPS)[number];

export type StepState =
  | 'STATE_UNSPECIFIED'
  | 'STATE_WAITING'
  | 'STATE_RUNNING'
  | 'STATE_FINISHED'
  | 'STATE_FAILED'
  | 'STATE_SKIPPED';

export interface StepRecord {
  step: Step;
  state: StepState;
  startTime?: string | null;
  elapsed?: string | null;
}

export const DEPLOYMENT_STATES = [
  'STATE_PENDING',
  'STATE_RUNNING',
  'STATE_SUCCEEDED',
  'STATE_FAILED',
  'STATE_CANCELED',
  'STATE_NEEDS_ATTENTION',
] as const;
export type DeploymentState = (typeof DEPLOYMENT_STATES)[number];

export interface Deployment {
  name: string;
  requestId?: string;
  customer: Customer;
  bundle: string;
  requestedPort?: string;
  port?: string;
  state: DeploymentState;
  step?: Step | 'STEP_UNSPECIFIED';
  steps?: StepRecord[];
  progressPercent?: number;
  attempt?: number;
  cancelRequested?: boolean;
  chip?: string;
  mac?: string;
  flashSizeBytes?: number;
  wifiSsid?: string;
  hasWifiPassword?: boolean;
  flash?: {
    imageBytes?: string;
    writtenBytes?: string;
    sentBytes?: string;
    elapsed?: string;
    baudRate?: number;
  } | null;
  failure?: Failure | null;
  recordPath?: string;
  createTime?: string | null;
  updateTime?: string | null;
  startTime?: string | null;
  endTime?: string | null;
  sequence?: string;
}

// A standing order: the next `count` boards at `ports`.
export interface Batch {
  name: string;
  // Absent where every board has a customer of its own.
  customer?: Customer | null;
  bundle: string;
  ports?: string[];
  count: number;
  state: 'STATE_ACTIVE' | 'STATE_PAUSED' | 'STATE_COMPLETED' | 'STATE_ENDED';
  running?: number;
  succeeded?: number;
  failed?: number;
  refused?: number;
  createTime?: string | null;
  endTime?: string | null;
  sequence?: string;
}

export interface Bundle {
  name: string;
  id: string;
  title?: string;
  version?: string;
  chip?: string;
  images?: { label: string; offset?: number; size?: number; sha256?: string }[];
  partitions?: { label: string; type?: string; subtype?: string; offset?: number; size?: number }[];
  totalBytes?: string;
  nvsValues?: { namespace: string; key: string; type: string; value?: string }[];
  provenance?: {
    sourceKind?: string;
    sourceName?: string;
    sourceSha256?: string;
    facts?: Record<string, string>;
  } | null;
  state?: 'STATE_UNSPECIFIED' | 'STATE_ACTIVE' | 'STATE_RETIRED';
  createTime?: string | null;
}

export interface HealthCheck {
  name: string;
  ok?: boolean;
  critical?: boolean;
  message?: string;
}

export interface Health {
  level: 'LEVEL_UNSPECIFIED' | 'LEVEL_HEALTHY' | 'LEVEL_DEGRADED' | 'LEVEL_UNHEALTHY';
  checks?: HealthCheck[];
  checkTime?: string | null;
}

export interface StationInfo {
  stationId?: string;
  version?: string;
  sqliteVersion?: string;
  ledgerSchema?: number;
  startTime?: string | null;
  lastSequence?: string;
  ledgerPath?: string;
  exportDirectory?: string;
  stubChips?: string[];
  draining?: boolean;
  deploymentsPending?: number;
  deploymentsRunning?: number;
}

export interface LedgerVerdict {
  ok?: boolean;
  eventsChecked?: string;
  problem?: string;
}

export interface Snapshot {
  lastSequence?: string;
  boards?: Board[];
  deployments?: Deployment[];
  batches?: Batch[];
  health?: Health | null;
}

export interface StationEvent {
  sequence: string;
  time?: string | null;
  kind?: string;
  deployment?: Deployment;
  board?: Board;
  bundle?: Bundle;
  batch?: Batch;
  health?: Health;
  station?: { type?: string; version?: string };
  audit?: { action?: string; subject?: string; actor?: string; reason?: string };
}

export interface Progress {
  deployment: string;
  step?: Step | 'STEP_UNSPECIFIED';
  progressPercent?: number;
  doneBytes?: string;
  totalBytes?: string;
  bytesPerSecond?: string;
}

export interface Heartbeat {
  lastSequence?: string;
  time?: string | null;
}

// One message of the event stream: WatchEventsResponse has exactly one of these.
export type StreamMessage =
  | { snapshot: Snapshot }
  | { event: StationEvent }
  | { progress: Progress }
  | { heartbeat: Heartbeat };

export interface Credentials {
  wifiSsid?: string;
  wifiPassword?: string;
}

// What the gateway answers instead of a result.
export interface ApiErrorBody {
  error_type?: string;
  code?: string;
  message?: string;
  tips?: string[];
  recoverable?: boolean;
  details?: string;
  request_id?: string;
  icon?: string;
  colour?: string;
  fields?: { field: string; description: string }[];
}

export const ROLES = ['viewer', 'operator', 'admin'] as const;
export type Role = (typeof ROLES)[number];

export interface Session {
  role: Role | null;
  name: string;
  signInRequired: boolean;
}
