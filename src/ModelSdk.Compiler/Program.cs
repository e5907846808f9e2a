return await ModelSdk.Compiler.Commands.CommandLine.RunAsync(args).ConfigureAwait(false);
