import { call } from "../api/client.ts";
import type { Role } from "../session.ts";

export interface Settings {
  app_id: string;
  name: string;
  timezone: string;
  week_start: string;
  raw_retention_days: number | null;
  session_idle_minutes: number;
  created_at: string;
}

export type SettingsChange = Partial<Pick<Settings, "name" | "timezone" | "week_start" | "raw_retention_days">>;
export type KeyKind = "write" | "read" | "admin";

export interface Key {
  key_id: string;
  kind: KeyKind;
  created_at: string;
  last_used_at: string | null;
  revoked_at: string | null;
}

export interface MadeKey {
  key_id: string;
  kind: KeyKind;
  key: string;
}

export interface Member {
  account_id: string;
  email: string;
  name: string;
  role: Role;
  since: string;
}

export interface Invitation {
  invitation_id: string;
  role: Role;
  note: string;
  invited_by: string;
  created_at: string;
  expires_at: string;
}

export interface Login {
  login_id: string;
  current: boolean;
  created_at: string;
  last_used_at: string;
  agent: string;
}

export type MadeApp = Settings & { write_key: string; read_key: string };

const of = (app: string) => `apps/${encodeURIComponent(app)}`;

export const changeSettings = (app: string, change: SettingsChange) => call<Settings>("PATCH", `analytics/${encodeURIComponent(app)}/settings`, change);
export const makeApp = (name: string, timezone: string) => call<MadeApp>("POST", "apps", { name, timezone });
export const askKeys = async (app: string) => (await call<{ keys: Key[] }>("GET", `${of(app)}/keys`)).keys;
export const makeKey = (app: string, kind: KeyKind) => call<MadeKey>("POST", `${of(app)}/keys`, { kind });
export const rotateKey = (app: string, key: string) => call<MadeKey>("POST", `${of(app)}/keys/${encodeURIComponent(key)}/rotate`, {});
export const revokeKey = (app: string, key: string) => call<undefined>("DELETE", `${of(app)}/keys/${encodeURIComponent(key)}`);
export const askMembers = async (app: string) => (await call<{ members: Member[] }>("GET", `${of(app)}/members`)).members;
export const changeRole = (app: string, account: string, role: Role) => call<undefined>("PATCH", `${of(app)}/members/${encodeURIComponent(account)}`, { role });
export const removeMember = (app: string, account: string) => call<undefined>("DELETE", `${of(app)}/members/${encodeURIComponent(account)}`);
export const askInvitations = async (app: string) => (await call<{ invitations: Invitation[] }>("GET", `${of(app)}/invitations`)).invitations;
export const invite = (app: string, role: Role, note: string) => call<{ token: string }>("POST", `${of(app)}/invitations`, { role, note });
export const takeBack = (app: string, invitation: string) => call<undefined>("DELETE", `${of(app)}/invitations/${encodeURIComponent(invitation)}`);
export const askLogins = async () => (await call<{ logins: Login[] }>("GET", "me/logins")).logins;
export const endLogin = (login: string) => call<undefined>("DELETE", `me/logins/${encodeURIComponent(login)}`);
export const rename = (name: string) => call<unknown>("PATCH", "me", { name });
export const changePassword = (current_password: string, new_password: string) => call<unknown>("POST", "me/password", { current_password, new_password });
