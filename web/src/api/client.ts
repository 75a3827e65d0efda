import { type Session, credentials } from "../session.ts";
import type { ErrorForm } from "./types.ts";

/** What a call failed with: the API's own words where it had any. Status 0 means that no answer came. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly field?: string,
    /** When trying again makes sense, in milliseconds. */
    readonly retryAfterMs?: number,
  ) {
    super(message);
  }

  /** True when the same key will be refused again. */
  get refused(): boolean {
    return this.status === 401 || this.status === 403;
  }
}

/** Path of an analytics call of the session's app. */
export function analyticsPath(session: Session, call: string): string {
  return `/api/v1/analytics/${encodeURIComponent(session.app)}/${call}`;
}

/** Path of a call about what is saved in the session's app. */
export function appPath(session: Session, call: string): string {
  return `/api/v1/apps/${encodeURIComponent(session.app)}/${call}`;
}

/** One call; whatever is no success is thrown as our error. */
async function send(path: string, headers: Record<string, string>, method: string, body: unknown, signal?: AbortSignal): Promise<Response> {
  const request: RequestInit = {
    method,
    headers: { ...headers, ...(body === undefined ? {} : { "content-type": "application/json" }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal === undefined ? {} : { signal }),
  };
  const response = await fetch(path, request).catch((error: unknown) => {
    throw signal?.aborted === true ? error : unreachable();
  });
  if (!response.ok) throw await errorOf(response);
  return response;
}

/** A call about accounts, as whoever is logged in; an answer without a body is undefined. */
export async function call<T>(method: "GET" | "POST" | "PATCH" | "DELETE", path: string, body?: unknown): Promise<T> {
  const response = await send(`/api/v1/${path}`, {}, method, body);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

/** GET, or POST when there is a body. Aborting `signal` hangs up, which cancels the work on the server. */
export async function ask<T>(session: Session, call: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const response = await send(analyticsPath(session, call), credentials(session), body === undefined ? "GET" : "POST", body, signal);
  return (await response.json()) as T;
}

/** A call about what is saved in the app, with its answer. */
export async function askApp<T>(session: Session, method: "GET" | "POST" | "PUT" | "DELETE", call: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const response = await send(appPath(session, call), credentials(session), method, body, signal);
  return (await response.json()) as T;
}

/** Changes or removes something that is saved; the session's key must be one that may. */
export async function change(session: Session, method: "PUT" | "PATCH" | "DELETE", call: string, body?: unknown): Promise<void> {
  await send(analyticsPath(session, call), credentials(session), method, body);
}

/** Deletes something of the app, with what the server says of it. */
export async function askToDelete<T>(session: Session, call: string): Promise<T> {
  const response = await send(analyticsPath(session, call), credentials(session), "DELETE", undefined);
  return (await response.json()) as T;
}

/** The server did not answer at all. */
export function unreachable(): ApiError {
  return new ApiError(0, "unreachable", "The server cannot be reached.");
}

/** Any failure as one of ours. */
export function asApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : unreachable();
}

/** Reads the error form, or makes one of an answer that has none (a proxy's page). */
export async function errorOf(response: Response): Promise<ApiError> {
  const retryAfter = Number(response.headers.get("retry-after") ?? Number.NaN) * 1000;
  const retryAfterMs = Number.isFinite(retryAfter) ? retryAfter : undefined;
  const body: unknown = await response.json().catch(() => null);
  if (!isErrorForm(body)) {
    return new ApiError(response.status, "unexpected_answer", `The server answered ${response.status} ${response.statusText}.`, undefined, retryAfterMs);
  }
  const { code, message, field } = body.error;
  return new ApiError(response.status, code, message, field, retryAfterMs);
}

function isErrorForm(body: unknown): body is ErrorForm {
  return typeof body === "object" && body !== null && "error" in body && typeof body.error === "object" && body.error !== null && "message" in body.error;
}
