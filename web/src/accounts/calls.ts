import { call } from "../api/client.ts";
import type { Role } from "../session.ts";

/** Who is logged in. */
export interface Account {
  account_id: string;
  email: string;
  name: string;
  /** May make apps. */
  administrator: boolean;
}

export interface OwnApp {
  app_id: string;
  name: string;
  timezone: string;
  role: Role;
}

export interface Me {
  account: Account;
  apps: OwnApp[];
}

/** An account to be made. */
export interface NewAccount {
  email: string;
  name: string;
  password: string;
}

/** What an invitation is to. */
export interface Offer {
  app_id: string;
  app_name: string;
  role: Role;
  invited_by: string;
  expires_at: string;
}

export const askMe = () => call<Me>("GET", "me");
export const askSetUp = () => call<{ open: boolean }>("GET", "setup");
export const setUp = (token: string, account: NewAccount) => call<Me>("POST", "setup", { token, account });
export const logIn = (email: string, password: string) => call<Me>("POST", "login", { email, password });
export const logOut = () => call<undefined>("POST", "logout", {});
export const lookAtInvitation = (token: string) => call<Offer>("POST", "invitations/look", { token });
export const acceptInvitation = (token: string, account?: NewAccount) => call<Me>("POST", "invitations/accept", account === undefined ? { token } : { token, account });
