from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('policies', '0006_log_in_as_and_the_urls_of_sign_in_and_assignment'),
    ]

    operations = [
        migrations.AddField(
            model_name='policy',
            name='hard_adjust_zone',
            field=models.BooleanField(default=False, verbose_name='Adjust time zone'),
        ),
        migrations.AddField(
            model_name='poolassignment',
            name='adjust_zone',
            field=models.BooleanField(default=False, verbose_name='Adjust time zone'),
        ),
    ]
