// Messages for tests, complete enough to be believed.
import type { Batch, Board, Deployment, Snapshot } from '../api/types';

export function board(port: string, change: Partial<Board> = {}): Board {
  return {
    name: `boards/${port}`,
    port,
    alias: '',
    state: 'STATE_READY',
    address: '',
    adapter: '',
    chip: '',
    mac: '',
    deployment: '',
    changeTime: '2026-11-26T01:00:00Z',
    ...change,
  };
}

export function deployment(id: string, change: Partial<Deployment> = {}): Deployment {
  return {
    name: `deployments/${id}`,
    customer: {
      organization: 'โรงพยาบาลกรุงเทพ',
      customerId: 'BGK001',
      applicationName: 'SMC_Cabinet_Ward_A',
    },
    bundle: 'bundles/b1',
    requestedPort: 'usb-1',
    port: 'usb-1',
    state: 'STATE_RUNNING',
    step: 'STEP_FLASH',
    progressPercent: 40,
    attempt: 1,
    sequence: '10',
    createTime: '2026-11-26T02:00:00Z',
    startTime: '2026-11-26T02:00:01Z',
    ...change,
  };
}

export function succeeded(id: string, change: Partial<Deployment> = {}): Deployment {
  return deployment(id, {
    state: 'STATE_SUCCEEDED',
    step: 'STEP_DONE',
    progressPercent: 100,
    mac: '7c:df:a1:00:00:01',
    endTime: '2026-11-26T02:00:10Z',
    ...change,
  });
}

export function batch(id: string, change: Partial<Batch> = {}): Batch {
  return {
    name: `batches/${id}`,
    customer: {
      organization: 'โรงพยาบาลกรุงเทพ',
      customerId: 'BGK001',
      applicationName: 'SMC_Cabinet_Ward_A',
    },
    bundle: 'bundles/b1',
    ports: ['usb-1-2.*'],
    count: 50,
    state: 'STATE_ACTIVE',
    running: 3,
    succeeded: 12,
    failed: 1,
    createTime: '2026-11-26T01:30:00Z',
    sequence: '10',
    ...change,
  };
}

export function snapshot(change: Partial<Snapshot> = {}): Snapshot {
  return {
    lastSequence: '10',
    boards: [board('usb-1')],
    deployments: [],
    health: { level: 'LEVEL_HEALTHY', checks: [] },
    ...change,
  };
}

export const NOW = Date.parse('2026-11-26T02:00:20Z');
