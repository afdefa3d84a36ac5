import { ROLES, type Role, type Session } from './types';

// The gateway's answer about who we are, whatever else it may carry.
export function readSession(answer: unknown): Session {
  const object = typeof answer === 'object' && answer !== null ? (answer as Record<string, unknown>) : {};
  const role = object['role'];
  return {
    role: ROLES.includes(role as Role) ? (role as Role) : null,
    name: typeof object['name'] === 'string' ? object['name'] : '',
    signInRequired: object['signInRequired'] === true,
  };
}
