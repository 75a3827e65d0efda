import { ActionIcon } from "@mantine/core";
import { useLayoutEffect, useRef, useState } from "react";

import { More } from "../builder/More.tsx";
import { Part } from "../builder/Part.tsx";
import { SubjectEditor } from "../builder/SubjectEditor.tsx";
import { NEW_SUBJECT } from "../builder/subject.ts";
import type { Vocabulary } from "../builder/vocabulary.ts";
import { CrossIcon, DownIcon, UpIcon } from "../ui/icons.tsx";
import { MAX_STEPS, type Step } from "./funnel.ts";

interface StepListProps {
  steps: Step[];
  /** Whether steps may be left out: in an ordered funnel only. */
  optionals: boolean;
  words: Vocabulary;
  onChange: (steps: Step[]) => void;
  /** From one place to another, both counted from 0. */
  onMove: (at: number, to: number) => void;
  onRemove: (at: number) => void;
}

type Way = "up" | "down";

/** Keeps the focus on the button that moved a step while the step changes its place. */
function useFollowingFocus(steps: Step[]) {
  const list = useRef<HTMLOListElement>(null);
  const wanted = useRef<{ at: number; way: Way } | null>(null);
  useLayoutEffect(() => {
    if (wanted.current === null) return;
    const row = list.current?.children[wanted.current.at];
    const buttons = [`[data-way="${wanted.current.way}"]`, "[data-way]"].map((selector) => row?.querySelector<HTMLButtonElement>(`${selector}:not(:disabled)`));
    buttons.find((button) => button !== null && button !== undefined)?.focus();
    wanted.current = null;
  }, [steps]);
  return { list, follow: (at: number, way: Way) => (wanted.current = { at, way }) };
}

interface StepRowProps extends Omit<StepListProps, "steps" | "onChange" | "onMove" | "onRemove"> {
  step: Step;
  at: number;
  count: number;
  /** It was just added. */
  fresh: boolean;
  onChange: (step: Step) => void;
  onMove: (way: Way) => void;
  onRemove: () => void;
}

function StepRow({ step, at, count, optionals, words, fresh, onChange, onMove, onRemove }: StepRowProps) {
  const number = at + 1;
  return (
    <li className="step">
      <span className="step-number tabular" aria-hidden="true">
        {number}
      </span>
      <div className="sentence-text step-subject">
        <SubjectEditor
          name={`Step ${number}`}
          subject={step}
          words={words}
          fresh={fresh}
          onChange={onChange}
          more={
            optionals &&
            at > 0 &&
            !step.optional && (
              <More
                label="optional"
                about={`Step ${number}: optional, it may be left out`}
                onClick={() => {
                  onChange({ ...step, optional: true });
                }}
              />
            )
          }
        />
        {step.optional && at > 0 && optionals && (
          <Part
            removal={`Step ${number} must be done`}
            onRemove={() => {
              onChange({ ...step, optional: false });
            }}
          >
            <span className="quiet">may be left out</span>
          </Part>
        )}
      </div>
      <div className="step-tools">
        {(["up", "down"] as const).map((way) => (
          <ActionIcon
            key={way}
            variant="subtle"
            color="gray"
            size={28}
            data-way={way}
            disabled={way === "up" ? at === 0 : at === count - 1}
            aria-label={`Move step ${number} ${way}`}
            onClick={() => {
              onMove(way);
            }}
          >
            {way === "up" ? <UpIcon /> : <DownIcon />}
          </ActionIcon>
        ))}
        <ActionIcon variant="subtle" color="gray" size={28} aria-label={`Remove step ${number}`} onClick={onRemove}>
          <CrossIcon />
        </ActionIcon>
      </div>
    </li>
  );
}

/** The steps in their order; each can be changed, moved and taken out. */
export function StepList({ steps, optionals, words, onChange, onMove, onRemove }: StepListProps) {
  const { list, follow } = useFollowingFocus(steps);
  const [said, say] = useState("");
  // Those that were there before are not fresh.
  const [known, setKnown] = useState(steps.length);
  if (steps.length < known) setKnown(steps.length);
  const move = (at: number, way: Way) => {
    const to = at + (way === "up" ? -1 : 1);
    follow(to, way);
    say(`Step ${at + 1} is now step ${to + 1}`);
    onMove(at, to);
  };
  return (
    <>
      <ol className="steps" ref={list} aria-label="Steps">
        {steps.map((step, at) => (
          <StepRow
            // A step is known by its place: two may be the same.
            key={at}
            step={step}
            at={at}
            count={steps.length}
            optionals={optionals}
            words={words}
            fresh={at >= known}
            onChange={(changed) => {
              onChange(steps.map((other, place) => (place === at ? changed : other)));
            }}
            onMove={(way) => {
              move(at, way);
            }}
            onRemove={() => {
              onRemove(at);
            }}
          />
        ))}
      </ol>
      <span className="unseen" role="status">
        {said}
      </span>
      {steps.length < MAX_STEPS && (
        <div className="sentence-more">
          <More
            label="Step"
            onClick={() => {
              onChange([...steps, { ...NEW_SUBJECT, optional: false }]);
            }}
          />
        </div>
      )}
    </>
  );
}
