// What a screen reader should hear of: deployments that came to another stage. Percentages never.

import type { Deployment, Step } from '../api/types';
import type { TextKey } from '../i18n/texts';
import type { State } from './model';
import { portLabel } from './selectors';

export interface StageChange {
  deployment: string;
  port: string;
  text: TextKey;
}

const STATUS: Readonly<Record<Step, TextKey>> = {
  STEP_PREPARE: 'statusPrepare',
  STEP_CONNECT: 'statusConnect',
  STEP_IDENTIFY: 'statusIdentify',
  STEP_FLASH: 'statusFlash',
  STEP_VERIFY: 'statusVerify',
  STEP_BOOT: 'statusBoot',
  STEP_CONFIRM: 'statusConfirm',
  STEP_EXPORT: 'statusExport',
  STEP_DONE: 'statusDone',
};

// The status line of a deployment, as the source documents word it.
export function statusText(deployment: Deployment, step: Step | null): TextKey {
  switch (deployment.state) {
    case 'STATE_PENDING':
      return 'statusStart';
    case 'STATE_RUNNING':
      return step ? STATUS[step] : 'statusStart';
    case 'STATE_SUCCEEDED':
      return 'statusDone';
    case 'STATE_CANCELED':
      return 'statusCanceled';
    default:
      return 'statusFailed';
  }
}

export function stageChanges(before: State, after: State): StageChange[] {
  if (before.deployments === after.deployments || !before.known) return [];
  const changes: StageChange[] = [];
  for (const deployment of Object.values(after.deployments)) {
    const old = before.deployments[deployment.name];
    if (old === deployment || !deployment.port) continue;
    const text = statusText(deployment, stepOf(deployment));
    // Old deployments that were only loaded now are no news.
    if (!old && deployment.state !== 'STATE_RUNNING') continue;
    if (old && statusText(old, stepOf(old)) === text) continue;
    const board = after.boards[deployment.port];
    changes.push({
      deployment: deployment.name,
      port: board ? portLabel(board) : deployment.port,
      text,
    });
  }
  return changes;
}

function stepOf(deployment: Deployment): Step | null {
  return deployment.step && deployment.step !== 'STEP_UNSPECIFIED' ? deployment.step : null;
}
