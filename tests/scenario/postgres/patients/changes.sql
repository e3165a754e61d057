INSERT INTO patients (patient_id, name, age, gender) VALUES ('N1', 'New', 30, 'female');
UPDATE patients SET discharged = admitted + 7, updated_at = now() WHERE id % 100 = 0;
DELETE FROM patients WHERE id BETWEEN 500 AND 520;
