import { ActionIcon, Autocomplete, Button, Select } from "@mantine/core";

import type { Schema } from "../api/types.ts";
import { type Filter, INTERVALS, METRICS, OPS, type Question, RANGES, needsNoValue } from "./state.ts";

const SYSTEM_FIELDS = ["event", "user_id", "session_id", "country", "browser", "os", "device_type"];

function samples(schema: Schema | undefined, property: string): string[] {
  const values = schema?.properties.find((known) => known.name === property)?.sample_values ?? [];
  return [...new Set(values.map((value) => (typeof value === "string" ? value : JSON.stringify(value))))];
}

function FilterEditor({ filter, fields, schema, onChange, onRemove }: { filter: Filter; fields: string[]; schema: Schema | undefined; onChange: (filter: Filter) => void; onRemove: () => void }) {
  return (
    <div className="filter">
      <span className="quiet">where</span>
      <Autocomplete
        className="wide"
        aria-label="Property"
        placeholder="property"
        data={fields}
        limit={50}
        value={filter.property}
        onChange={(property) => {
          onChange({ ...filter, property });
        }}
      />
      <Select
        className="narrow"
        aria-label="Comparison"
        data={OPS}
        allowDeselect={false}
        value={filter.op}
        onChange={(op) => {
          onChange({ ...filter, op: op ?? "eq" });
        }}
      />
      {!needsNoValue(filter.op) && (
        <Autocomplete
          aria-label="Value"
          placeholder="value"
          data={samples(schema, filter.property)}
          value={filter.value}
          onChange={(value) => {
            onChange({ ...filter, value });
          }}
        />
      )}
      <ActionIcon variant="subtle" color="gray" aria-label="Remove this condition" onClick={onRemove}>
        ×
      </ActionIcon>
    </div>
  );
}

/** The question as a sentence whose parts are pickers. */
export function Sentence({ question, schema, onChange }: { question: Question; schema: Schema | undefined; onChange: (question: Question) => void }) {
  const events = (schema?.events ?? []).map((event) => event.name);
  const fields = [...new Set([...SYSTEM_FIELDS, ...(schema?.properties ?? []).map((property) => property.name)])];
  const filters = question.filters;
  const setFilters = (changed: Filter[]) => {
    onChange({ ...question, filters: changed });
  };
  const withSelected = (choices: string[], selected: string) => (selected === "" || choices.includes(selected) ? choices : [selected, ...choices]);
  return (
    <section className="panel sentence" aria-label="Question">
      <Select aria-label="Metric" data={METRICS} allowDeselect={false} value={question.metric} onChange={(metric) => { onChange({ ...question, metric: metric ?? "events" }); }} />
      <span className="quiet">of</span>
      <Select className="wide" aria-label="Event" placeholder="any event" searchable clearable data={withSelected(events, question.event)} value={question.event === "" ? null : question.event} onChange={(event) => { onChange({ ...question, event: event ?? "" }); }} />
      {filters.map((filter, index) => (
        <FilterEditor
          key={index}
          filter={filter}
          fields={fields}
          schema={schema}
          onChange={(changed) => { setFilters(filters.map((other, at) => (at === index ? changed : other))); }}
          onRemove={() => { setFilters(filters.filter((_, at) => at !== index)); }}
        />
      ))}
      <span className="quiet">by</span>
      <Select className="wide" aria-label="Group by" placeholder="nothing" searchable clearable data={withSelected(fields, question.groupBy)} value={question.groupBy === "" ? null : question.groupBy} onChange={(groupBy) => { onChange({ ...question, groupBy: groupBy ?? "" }); }} />
      <Select className="narrow" aria-label="Interval" data={INTERVALS} allowDeselect={false} value={question.interval} onChange={(interval) => { onChange({ ...question, interval: interval ?? "" }); }} />
      <Select className="narrow" aria-label="Range" data={RANGES} allowDeselect={false} value={question.range} onChange={(range) => { onChange({ ...question, range: range ?? "30d" }); }} />
      <Button variant="subtle" onClick={() => { setFilters([...filters, { property: "", op: "eq", value: "" }]); }}>
        Add condition
      </Button>
    </section>
  );
}
