import type { TextKey } from '../i18n/texts';
import type { App } from './context';

const CHECKS: Readonly<Record<string, TextKey>> = {
  ledger: 'checkLedger',
  export_folder: 'checkExportFolder',
  temp_folder: 'checkTempFolder',
  disk: 'checkDisk',
  ports: 'checkPorts',
  bundles: 'checkBundles',
  stubs: 'checkStubs',
  backup: 'checkBackup',
};

// A health check in words; one this page does not know yet keeps its name.
export function checkName(t: App['t'], name: string): string {
  const key = CHECKS[name];
  return key ? t(key) : name;
}
