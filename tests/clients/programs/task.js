// What the Node programs share: the task, and how they say what they saw; see report.py.
const fs = require('fs');

const [taskFile, seenFile] = process.argv.slice(2);

exports.task = JSON.parse(fs.readFileSync(taskFile));
exports.report = (step, seen) =>
  fs.appendFileSync(seenFile, JSON.stringify({ step, ...seen }) + '\n');
exports.ids = images => images.map(image => image.id);
// Return a function that calls a method of an object as a promise, with its callback behind.
exports.caller = object => (method, ...args) =>
  new Promise((resolve, reject) =>
    object[method](...args, (error, result) => (error ? reject(error) : resolve(result))));
exports.run = main =>
  main().then(() => process.exit(0), error => {
    console.error(error, JSON.stringify(error));
    process.exit(1);
  });
