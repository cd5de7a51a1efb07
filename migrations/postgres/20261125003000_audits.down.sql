DROP TABLE verdicts;
DROP TABLE audits;
DROP TABLE audit_material;
