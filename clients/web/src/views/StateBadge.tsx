import type { DeploymentState } from '../api/types';
import type { TextKey } from '../i18n/texts';
import { useApp } from './context';
import { Icon, type IconName } from './Icon';

export const STATE_TEXTS: Readonly<Record<DeploymentState, TextKey>> = {
  STATE_PENDING: 'statePending',
  STATE_RUNNING: 'stateRunning',
  STATE_SUCCEEDED: 'stateSucceeded',
  STATE_FAILED: 'stateFailed',
  STATE_CANCELED: 'stateCanceled',
  STATE_NEEDS_ATTENTION: 'stateNeedsAttention',
};

const LOOKS: Readonly<Record<DeploymentState, { icon: IconName; mode: string }>> = {
  STATE_PENDING: { icon: 'waiting', mode: 'waiting' },
  STATE_RUNNING: { icon: 'working', mode: 'working' },
  STATE_SUCCEEDED: { icon: 'ready', mode: 'done' },
  STATE_FAILED: { icon: 'fault', mode: 'failed' },
  STATE_CANCELED: { icon: 'cancel', mode: 'canceled' },
  STATE_NEEDS_ATTENTION: { icon: 'attention', mode: 'unusable' },
};

export function StateBadge({ state }: { state: DeploymentState }) {
  const { t } = useApp();
  const look = LOOKS[state];
  return (
    <span class={`badge badge-${look.mode}`}>
      <Icon name={look.icon} /> {t(STATE_TEXTS[state])}
    </span>
  );
}
